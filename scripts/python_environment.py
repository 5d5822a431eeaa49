"""The virtual environment `.venv` of the checkout, as `poetry.lock` says.

Poetry lives in its own environment, once per machine. It is told by its mirror plugin to read
the simple index that pip uses: every index has that page, not every one has PyPI's other pages.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from scripts import places
from scripts.apt import private_apt
from scripts.progress import StepError, quietly, step

POETRY = ("poetry>=2.5,<3", "poetry-plugin-pypi-mirror>=0.6,<0.7")
# What build.py compiles, without its ending.
COMPILED = "src/os_credits/*/_*"
SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def make() -> None:
    """Make the environment equal to the lock, unless it is already."""
    with places.only_one(f"environment-{places.checkout_name()}"):
        stamp = places.VENV / "os_credits-stamp"
        if stamp.exists() and stamp.read_text() == _state() and _works(places.VENV_PYTHON):
            return
        poetry = _poetry()
        if not _works(places.VENV_PYTHON):
            with step("Making the virtual environment .venv"):
                _make_venv(places.VENV, with_pip=False)
        with step("Installing the Python packages of poetry.lock"):
            quietly(
                [poetry, "sync", "--all-groups", "--no-interaction"],
                cwd=places.CHECKOUT,
                env=_poetry_environment(),
                hint="If pyproject.toml has changed: make lock",
            )
        if sys.dont_write_bytecode:
            # Else every start of a program would compile all that it imports once more.
            with step("Compiling the Python packages"):
                quietly([places.VENV_PYTHON, "-m", "compileall", "-q", "-j0", places.VENV / "lib"])
        stamp.write_text(_state())


def lock() -> None:
    """Write `poetry.lock` anew from `pyproject.toml`."""
    poetry = _poetry()
    with step("Locking the Python packages"):
        quietly([poetry, "lock"], cwd=places.CHECKOUT, env=_poetry_environment())


def _state() -> str:
    """Return what the environment was made from, and what Poetry has compiled in the checkout."""
    digest = hashlib.sha256(f"{sys.version} {shutil.which('cc') is not None}".encode())
    named = [places.CHECKOUT / name for name in ("pyproject.toml", "poetry.lock", "build.py")]
    for path in (*named, *sorted(places.CHECKOUT.glob(f"{COMPILED}.c"))):
        digest.update(path.read_bytes())
    for built in sorted(places.CHECKOUT.glob(f"{COMPILED}.*.so")):
        digest.update(built.name.encode())
    return digest.hexdigest()


def _poetry() -> Path:
    """Return the program, installed first if this machine has not got it for this Python."""
    home = places.tools_dir() / f"poetry-{sys.version_info.major}.{sys.version_info.minor}"
    program = home / "bin" / "poetry"
    with places.only_one("poetry"):
        if not _works(program):
            _need_ensurepip()
            with step("Installing Poetry in an environment of its own"):
                _make_venv(home, with_pip=True)
                quietly(
                    [home / "bin" / "python", "-m", "pip", "install", *POETRY],
                    hint="Can pip reach its index?",
                )
    return program


def _make_venv(folder: Path, *, with_pip: bool) -> None:
    """Make a virtual environment of the Python that runs us."""
    options = [] if with_pip else ["--without-pip"]
    quietly([sys.executable, "-m", "venv", "--clear", *options, folder])


def _need_ensurepip() -> None:
    """Install what puts pip in an environment: Debian keeps it in a package of its own."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    with private_apt() as apt, step(f"Installing {package}"):
        apt.install([package])


def _works(program: Path) -> bool:
    """Tell whether a program starts: it does not when its Python has moved away."""
    try:
        return (
            subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def _poetry_environment() -> dict[str, str]:
    """Return the environment that lets Poetry read where pip reads."""
    environment = dict(os.environ, POETRY_PYPI_MIRROR_URL=_simple_index())
    # A lock of public packages needs no password, and asking for one can wait for ever.
    environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    environment.pop("VIRTUAL_ENV", None)
    # Poetry brings its own list of authorities; a network may need what the system trusts.
    for certificates in (_pip_config("cert"), SYSTEM_CERTIFICATES):
        if Path(certificates).is_file():
            environment.setdefault("REQUESTS_CA_BUNDLE", certificates)
    return environment


def _simple_index() -> str:
    """Return pip's index: from its configuration, else the default that its help names."""
    configured = _pip_config("index-url")
    if configured:
        return configured
    text = _pip("help", "download")
    default = re.search(r"--index-url <url>.*?\(default\s+(\S+?)\)", text, re.DOTALL)
    if not default:
        raise StepError("pip does not say which index it uses: set PIP_INDEX_URL")
    return default[1]


def _pip_config(name: str) -> str:
    """Return a setting of pip as it is in force: the variable wins over the files."""
    variable = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
    if variable:
        return variable
    for section in ("install", "global"):
        value = _pip("config", "get", f"{section}.{name}").strip()
        if value:
            return value
    return ""


def _pip(*words: str) -> str:
    """Return what the pip beside Poetry says; it reads the same configuration as any other."""
    python = _poetry().parent / "python"
    return subprocess.run(
        [python, "-m", "pip", *words],
        env=dict(os.environ, COLUMNS="200"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).stdout
