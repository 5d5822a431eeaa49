"""What processes cost: CPU seconds and memory, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/<pid>/stat behind the name (proc(5)), counted from 0: the parent's id, CPU time
# in user and kernel mode, and that of children whose end was waited for.
_PARENT, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 11, 12, 13, 14


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds that were used so far by whom."""

    client: float
    service: float
    database: float

    def __sub__(self, other: Cpu) -> Cpu:
        """Give what was used since."""
        return Cpu(
            self.client - other.client,
            self.service - other.service,
            self.database - other.database,
        )

    def per_million(self, samples: int) -> dict[str, float]:
        """Give CPU seconds per million samples."""
        factor = 1e6 / samples
        return {
            "client": self.client * factor,
            "service": self.service * factor,
            "database": self.database * factor,
        }


def _fields(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text(encoding="ascii").rpartition(")")[2].split()


def own_seconds(pid: int) -> float:
    """Read the CPU seconds of one process, without its children."""
    fields = _fields(pid)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS


def tree_seconds(pid: int) -> float:
    """Read the CPU seconds of a process and of all beneath it, those that have ended included."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                fields = _fields(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended: its parent tells of it
            one = int(folder.name)
            parents[one] = int(fields[_PARENT])
            used[one] = sum(
                int(fields[place]) for place in (_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM)
            )
    return sum(ticks for one, ticks in used.items() if _is_beneath(one, pid, parents)) / _TICKS


def _is_beneath(one: int, pid: int, parents: dict[int, int]) -> bool:
    while one:
        if one == pid:
            return True
        one = parents.get(one, 0)
    return False


def parent_of(pid: int) -> int:
    """Give the process that started one."""
    return int(_fields(pid)[_PARENT])


def resident_bytes(pid: int) -> int:
    """Read how much memory of a process is resident."""
    return int((PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
