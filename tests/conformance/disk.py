"""A disk so small that it can be filled, with a private server on it."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from scripts.cluster import SUPERUSER, Cluster

DISK_MIB = 384
SWITCHES_MAX = 20


@contextmanager
def small_disk() -> Iterator[Path]:
    """Mount a little memory as a disk; skips the test where that is not allowed."""
    folder = Path(tempfile.mkdtemp(prefix="os_credits-disk-"))
    mount = shutil.which("mount")
    try:
        if mount is None or os.geteuid() != 0:
            pytest.skip("only root can mount a small disk to fill")
        options = f"size={DISK_MIB}m,mode=0755"
        mounted = subprocess.run(
            [mount, "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted to fill: {mounted.stderr.decode().strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
    finally:
        folder.rmdir()


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave no byte free on a disk for a while."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        step = 1 << 20
        while step:
            try:
                while True:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
            except OSError:
                step //= 16
    try:
        yield
    finally:
        ballast.unlink()


def stop_for_want_of_room(cluster: Cluster) -> None:
    """Let the server begin new files for its log of changes until it cannot, and gives up."""
    with suppress(psycopg.Error):
        for _ in range(SWITCHES_MAX):
            with psycopg.connect(cluster.url("postgres", SUPERUSER), autocommit=True) as session:
                session.execute("SELECT txid_current(), pg_switch_wal()")
                session.execute("CREATE TABLE IF NOT EXISTS room (x int)")
                session.execute("DROP TABLE room")
        raise AssertionError("the disk for the log of changes is not full")


async def until_gone(cluster: Cluster, seconds: float = 20) -> None:
    """Wait until the server answers nobody any more."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    cluster.url("postgres", SUPERUSER), connect_timeout=2
                ):
                    pass
            except psycopg.Error as error:
                if "refused" in str(error):
                    return
            await asyncio.sleep(0.05)
