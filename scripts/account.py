"""PostgreSQL refuses to run as root: give the words that run a program as another user.

Not as root everything runs as who we are. As root it is the user of PostgreSQL, or one of our
own where there is none; where that user may not enter a folder (a data folder below /root, say),
the program keeps one capability, the one to pass such folders, and nothing else of root.
"""

import os
import pwd
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scripts.progress import StepError, quietly

OWN_USER = "os_credits"
USERS = (OWN_USER, "postgres")
PASS_FOLDERS = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")


def as_server_user(folders: Sequence[Path]) -> list[str]:
    """Return the start of a command line that runs a program which can enter the folders."""
    if os.geteuid() != 0:
        return ["setpriv"]
    user = _user()
    words = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
    for candidate in (words, [*words, *PASS_FOLDERS]):
        if all(_can_enter(candidate, folder) for folder in folders):
            return candidate
    names = " and ".join(map(str, folders))
    raise StepError(
        f"PostgreSQL runs as the user {user.pw_name}, who may not enter {names}. "
        "Name folders that every user may enter: DATA_DIR=/var/tmp/os_credits-data, say."
    )


def give(folder: Path) -> None:
    """Make a folder the server user's own."""
    if os.geteuid() == 0:
        user = _user()
        os.chown(folder, user.pw_uid, user.pw_gid)


def _user() -> pwd.struct_passwd:
    """Return the user that runs PostgreSQL; one of our own leaves Debian's packages their name."""
    for name in USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    quietly(["useradd", "--system", "--user-group", "--no-create-home", OWN_USER])
    return pwd.getpwnam(OWN_USER)


def _can_enter(words: Sequence[str], folder: Path) -> bool:
    """Try it: what the permission bits say is not all, see the capability."""
    return (
        subprocess.run([*words, "stat", f"{folder}/."], capture_output=True, check=False).returncode
        == 0
    )
