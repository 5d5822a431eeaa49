"""Child processes that never outlive us.

Each is a session of its own, so that Ctrl-C reaches only us and we stop them in our order. Should
we be killed, the kernel sends each the signal that it stops at (setpriv --pdeathsig).
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


def start_child(
    command: Sequence[str | Path],
    *,
    stops_at: signal.Signals = signal.SIGTERM,
    as_user: Sequence[str] = ("setpriv",),
    output: IO[bytes] | int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program; without an output it writes where we write.

    The output is a file, or subprocess.PIPE.
    """
    return subprocess.Popen(
        [*as_user, f"--pdeathsig={stops_at.name.removeprefix('SIG')}", *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )


def stop_child(process: subprocess.Popen[bytes], stops_at: signal.Signals, seconds_max: int) -> int:
    """Ask a child to stop, kill its session if it does not; return its exit status."""
    if process.poll() is None:
        process.send_signal(stops_at)
        try:
            process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
