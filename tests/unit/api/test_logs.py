"""Log levels are changed by name; whatever could run code, open a file or name another is not."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog
from aiohttp.http_exceptions import BadHttpMessage

from os_credits.api.logs import HANDLER_NAME, change_levels, configure_logs, current_levels
from os_credits.domain.person import without_addresses
from os_credits.errors import InvalidInput
from tests.acceptance.sinks import in_console_log, in_json_log
from tests.payloads import PAYLOADS

NAME = "os_credits.test"


@pytest.fixture(autouse=True)
def logs() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, handlers = root.level, list(root.handlers)
    logging.getLogger(NAME)
    configure_logs("INFO", "json")
    [ours] = [one for one in root.handlers if one.get_name() == HANDLER_NAME]
    assert isinstance(ours, logging.StreamHandler)
    written = io.StringIO()
    ours.setStream(written)
    yield written
    root.setLevel(before)
    root.handlers[:] = handlers
    logging.getLogger(NAME).setLevel(logging.NOTSET)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "wanted",
    [
        {"level": "DEBUG"},
        {"root": {"level": "debug"}},
        {"version": 1, "disable_existing_loggers": False, "root": {"level": "DEBUG"}},
        {"version": 1, "incremental": True, "loggers": {NAME: {"level": "DEBUG"}}},
        {"handlers": {HANDLER_NAME: {"level": "DEBUG"}}, "level": "DEBUG"},
    ],
)
def test_levels_change(wanted: dict[str, object]) -> None:
    assert not logging.getLogger(NAME).isEnabledFor(logging.DEBUG)

    change_levels(wanted)

    assert logging.getLogger(NAME).isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize(
    "wanted,place",
    [
        ([], "body"),
        ({"level": 10}, "level"),
        ({"level": "LOUD"}, "level"),
        ({"level": {"()": "os.system"}}, "level"),
        ({"root": "DEBUG"}, "root"),
        ({"root": {"level": "DEBUG", "handlers": ["x"]}}, "root.handlers"),
        ({"root": {}}, "root.level"),
        ({"loggers": []}, "loggers"),
        ({"loggers": {"no.such.logger": {"level": "DEBUG"}}}, "loggers.no.such.logger"),
        ({"loggers": {NAME: {"level": "DEBUG", "propagate": False}}}, f"loggers.{NAME}.propagate"),
        ({"loggers": {NAME: {"()": "os.system"}}}, f"loggers.{NAME}.()"),
        ({"handlers": {"file": {"class": "logging.FileHandler"}}}, "handlers.file"),
        ({"handlers": {HANDLER_NAME: {"class": "x"}}}, f"handlers.{HANDLER_NAME}.class"),
        ({"handlers": {HANDLER_NAME: {"()": "x"}}}, f"handlers.{HANDLER_NAME}.()"),
        ({"handlers": {HANDLER_NAME: {"filename": "/x"}}}, f"handlers.{HANDLER_NAME}.filename"),
        ({"handlers": {HANDLER_NAME: {"stream": "ext://x"}}}, f"handlers.{HANDLER_NAME}.stream"),
        ({"formatters": {"f": {"()": "os.system"}}}, "formatters"),
        ({"filters": {}}, "filters"),
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"disable_existing_loggers": True}, "disable_existing_loggers"),
        ({"incremental": False}, "incremental"),
        ({"incremental": 1}, "incremental"),
        ({"()": "os.system"}, "()"),
        ({"ext://sys.stdout": 1}, "ext://sys.stdout"),
    ],
)
def test_anything_but_a_level_is_refused_with_its_place_and_changes_nothing(
    wanted: object, place: str
) -> None:
    before = current_levels()

    with pytest.raises(InvalidInput) as refusal:
        change_levels({"level": "DEBUG", **wanted} if isinstance(wanted, dict) else wanted)

    assert refusal.value.where == place
    assert current_levels() == before


def test_a_logger_is_shown_with_its_own_and_its_effective_level() -> None:
    logging.getLogger(NAME).setLevel("ERROR")

    levels = current_levels()

    assert levels["loggers"][NAME] == {"level": "ERROR", "effective": "ERROR"}
    assert levels["loggers"]["os_credits"]["level"] == "NOTSET"
    assert levels["root"] == {"level": "INFO"}
    assert levels["handlers"][HANDLER_NAME] == {"level": "NOTSET"}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(log_format: str) -> None:
    configure_logs("INFO", log_format)  # type: ignore[arg-type]
    written = io.StringIO()
    for handler in logging.getLogger().handlers:
        if handler.get_name() == HANDLER_NAME:
            handler.setStream(written)  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError) as failure:
        fail("osc_" + "secret")
    structlog.stdlib.get_logger(NAME).error("failed", action="test", exc_info=failure.value)

    assert "ZeroDivisionError" in written.getvalue()
    assert "osc_secret" not in written.getvalue()


def fail(key: str) -> float:
    return 1 / (len(key) - len(key))


def test_what_a_broken_request_said_stays_out_of_the_log(logs: io.StringIO) -> None:
    error = BadHttpMessage("Invalid header value: X-API-Key: osc_secret")
    logging.getLogger("aiohttp.server").error(
        "Error handling request from %s", "peer", exc_info=error
    )

    assert "Error handling request from peer: BadHttpMessage" in logs.getvalue()
    assert "osc_secret" not in logs.getvalue()


def provoke(text: str) -> None:
    """Log a text in every way in which one can come into a line."""
    log = structlog.stdlib.get_logger(NAME)
    log.warning(text)
    log.warning("fixed", value=text, several=[text], named={text: 1}, error=ValueError(text))
    logging.getLogger("library").warning("took %s", text)
    for logger in (log, logging.getLogger("library")):
        try:
            raise ValueError(text)  # noqa: TRY301 - it is to be logged here
        except ValueError:
            logger.exception("failed")


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_no_text_begins_a_line_or_steers_a_terminal(text: str) -> None:
    assert in_console_log(logged_as("console", text)) == []
    machine = logged_as("json", text)
    assert in_json_log(machine) == []
    events = [json.loads(line) for line in machine.splitlines()]
    assert len(events) == 5
    shown = without_addresses(text)
    assert (events[0]["event"], events[1]["value"]) == (shown, shown)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_line_holds_an_address(log_format: Literal["console", "json"]) -> None:
    """Neither as a message, a value, within one, nor in what an exception says."""
    log = logged_as(
        log_format, "no such user <Ada.Lovelace@lab.example>, /people/ada%40lab.example"
    )

    assert "lab.example" not in log
    assert log.count("<address>") >= 10
    assert "no such user" in log


def logged_as(log_format: Literal["console", "json"], text: str) -> str:
    configure_logs("WARNING", log_format)
    root = logging.getLogger()
    [ours] = [one for one in root.handlers if one.get_name() == HANDLER_NAME]
    assert isinstance(ours, logging.StreamHandler)
    written = io.StringIO()
    ours.setStream(written)
    provoke(text)
    return written.getvalue()
