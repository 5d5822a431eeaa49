"""Judge one input: what it raises, its time and memory; keep the first of each kind."""

import hashlib
import resource
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.targets import Target

# Of one input of 64 KiB at most, on a busy machine and with every branch counted.
SECONDS_MAX = 2.0
PEAK_GROWTH_KIB_MAX = 192 * 1024
KINDS_MAX = 20


@dataclass
class Findings:
    """The bodies that broke a property of one target, one for each kind, kept in a folder."""

    target: Target
    folder: Path
    executions: int = 0
    slowest_seconds: float = 0.0
    kinds: dict[str, Path] = field(default_factory=dict)

    def judge(self, body: bytes) -> None:
        """Run the target on a body; never raises."""
        self.executions += 1
        peak, started = _peak_kib(), time.thread_time()
        try:
            self.target.check(body)
        except Exception as error:  # noqa: BLE001 - whatever comes out is a finding
            self._note(_kind(error), body, "".join(traceback.format_exception(error)))
        seconds = time.thread_time() - started
        self.slowest_seconds = max(self.slowest_seconds, seconds)
        if seconds > SECONDS_MAX:
            self._note("slow", body, f"{seconds:.1f} s")
        if self.executions > 1 and _peak_kib() - peak > PEAK_GROWTH_KIB_MAX:
            self._note("memory", body, f"{_peak_kib() - peak} KiB more")

    def _note(self, kind: str, body: bytes, told: str) -> None:
        if kind in self.kinds or len(self.kinds) >= KINDS_MAX:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / hashlib.sha256(kind.encode()).hexdigest()[:12]
        path.write_bytes(body)
        path.with_suffix(".txt").write_text(f"{kind}\n{told}\n", errors="backslashreplace")
        self.kinds[kind] = path


def _kind(error: Exception) -> str:
    """Tell findings apart by what was raised and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    message = str(error.args[0]) if error.args and type(error).__name__ == "Broken" else ""
    return f"{type(error).__name__} {Path(last.filename).name}:{last.lineno} {message}"


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
