"""Every example of docs/accounts.md, as it stands there, against a running service."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.conftest import Service
from tests.house.source import CHECKOUT

PAGE = CHECKOUT / "docs" / "accounts.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[str]:
    """Give the commands of the page, in their order."""
    for block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            # Not every curl knows --json yet.
            sends = '-H "Content-Type: application/json" --data'
            yield command.replace("--json", sends)


async def _run(command: str, service: Service) -> dict[str, Any]:
    variables = {"URL": service.url, "KEY": service.keys["admin"], "PATH": os.environ["PATH"]}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, env=variables,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b""), command
    answer: dict[str, Any] = json.loads(out)
    assert "error" not in answer, (command, answer)
    return answer


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_every_example_does_what_it_says(service: Service) -> None:
    for name in ("biobank", "imaging"):
        async with service.request(
            "POST", "/api/v1/projects", key="admin", json={"name": name}
        ) as response:
            assert response.status == 201

    answers = [await _run(command, service) for command in commands()]

    done = [one for one in answers if "balance" in one]
    assert [one["balance"]["current"] for one in done] == [
        "5000.000000", "5500.000000", "5000.000000", "4987.500000", "4687.500000",
        "4687.500000", "4687.500000",
    ]  # fmt: skip
    assert all(one["created"] for one in done)
    lists = [one for one in answers if "balance" not in one]
    assert [next(iter(one)) for one in lists] == ["grants", "transfers", "allowances"]
    assert all(len(next(iter(one.values()))) == 1 for one in lists)
