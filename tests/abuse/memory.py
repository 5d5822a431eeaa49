"""The memory of a process, looked at every 20 ms."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 0.02
MIB = 1024 * 1024
PAGE_BYTES = 4096


class Memory:
    """What a process holds, and the most it held while it was watched."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/statm")
        self.peak_bytes = 0

    def now_bytes(self) -> int:
        """Read how much it holds; 0 if it is gone."""
        try:
            return int(self._path.read_text().split()[1]) * PAGE_BYTES
        except (OSError, IndexError):
            return 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch it meanwhile."""
        self.peak_bytes = self.now_bytes()
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                self.peak_bytes = max(self.peak_bytes, self.now_bytes())
                time.sleep(LOOK_SECONDS)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
