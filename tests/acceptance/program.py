"""The program `os-credits`, called in the test's own process: quicker, and the same otherwise."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from os_credits.api.logs import HANDLER_NAME
from os_credits.cli import main


@dataclass(frozen=True)
class Program:
    """Calls the program in this process, on one database."""

    database_url: str

    def __call__(self, *words: str, status: int = 0, **variables: str) -> Result:
        """Run a command and hold it to its exit status."""
        environment = {"OS_CREDITS_DATABASE_URL": self.database_url, **variables}
        result = CliRunner().invoke(main, list(words), env=environment)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def json(self, *words: str, status: int = 0, **variables: str) -> Any:
        """Run a command with `--json` and read what it prints."""
        return json.loads(self(*words, "--json", status=status, **variables).stdout)

    def refuse(self, *words: str, status: int = 1, **variables: str) -> str:
        """Run a command that must fail; give what it says about it, one line for an error."""
        result = self(*words, status=status, **variables)
        assert result.stdout == ""
        return result.stderr.removesuffix("\n")


@contextmanager
def program_on(database_url: str) -> Iterator[Program]:
    """Give the program on a database, and take its log handler away again."""
    yield Program(database_url)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.get_name() == HANDLER_NAME]:
        root.removeHandler(handler)
