"""Compile the parts in C of `src/os_credits` beside their sources, for the Python that runs this.

Poetry runs it whenever it builds or installs the package. Remote write bodies are read faster
with them, and nothing needs them: without a compiler, or Python's headers, one line says so.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCES = sorted((Path(__file__).resolve().parent / "src" / "os_credits").glob("*/_*.c"))
OPTIONS = ("-O3", "-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,relro,-z,now")
SECONDS_MAX = 120


def built_file(source: Path) -> Path:
    """Say where the compiled module lies; each version of Python has its own."""
    return source.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))


def build(source: Path) -> str | None:
    """Compile; say why it did not work, or None. What was there before is gone in any case."""
    target = built_file(source)
    target.unlink(missing_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    include = f"-I{sysconfig.get_path('include')}"
    try:
        subprocess.run(  # noqa: S603 (the compiler that the builder chose)
            [*compiler, *OPTIONS, include, str(source), "-o", str(unfinished)],
            check=True,
            capture_output=True,
            timeout=SECONDS_MAX,
        )
        unfinished.replace(target)
    except (OSError, subprocess.SubprocessError) as error:
        unfinished.unlink(missing_ok=True)
        said = getattr(error, "stderr", None) or b""
        return said.decode(errors="replace").strip().partition("\n")[0] or str(error)
    return None


if __name__ == "__main__":
    for path in SOURCES:
        if why_not := build(path):
            sys.stderr.write(f"os_credits goes without its compiled {path.stem}: {why_not}\n")
