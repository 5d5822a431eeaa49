"""How the service logs, and how its levels are read and changed while it runs.

Every line goes through the standard library's loggers, ours (structlog) and those of the
libraries alike, so that one level decides. Only levels can be changed from outside: a body
that could name a class, a factory or a file would let its sender run code. What senders and
people wrote is escaped where lines are written: one event is one line. Mail addresses stay out.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import ExcInfo

from os_credits.domain.person import without_addresses
from os_credits.domain.text import legible, legible_json
from os_credits.errors import InvalidInput

HANDLER_NAME = "console"
LEVELS = ("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# What a dictConfig may hold beside levels without meaning anything else.
_HARMLESS = {"version": 1, "incremental": True, "disable_existing_loggers": False}


def configure_logs(level: str, log_format: Literal["console", "json"]) -> None:
    """Send every log line to standard error, in colour for people or as JSON for machines."""
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Callable[..., Any]] = (
        [
            structlog.processors.format_exc_info,
            _without_people,
            structlog.processors.JSONRenderer(),
            lambda _logger, _method, text: legible_json(text),
        ]
        if log_format == "json"
        else [
            _without_people,
            _on_one_line,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=_write_indented
            ),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(HANDLER_NAME)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if one.get_name() == HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.getLogger("aiohttp.server").addFilter(_without_request_text)


def _without_people(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take mail addresses from every text of a line: paths, messages and errors may hold some.

    A log is kept and copied elsewhere, where nobody can erase an address from it.
    """
    for name, value in event.items():
        if name != "exc_info":
            shown = value if isinstance(value, str) else repr(value)
            if (without := without_addresses(shown)) != shown:
                event[name] = without
    return event


def _on_one_line(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take from every text of a line what could begin another line, or steer a terminal."""
    for name, value in event.items():
        shown = value if isinstance(value, str) else repr(value)
        if name != "exc_info" and not shown.isprintable():
            event[name] = legible(shown)
    return event


def _write_indented(target: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback; its lines cannot be taken for lines of the log.

    Local variables are not shown: keys may be among them.
    """
    lines = without_addresses("".join(traceback.format_exception(*exc_info))).splitlines()
    target.writelines(f"\n    {legible(line)}" for line in lines)


def _without_request_text(record: logging.LogRecord) -> bool:
    """Keep what a broken request said out of the log: it may hold a key."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg += f": {type(error).__name__}"
    return True


def current_levels() -> dict[str, Any]:
    """Give the level of the root, of its handlers and of every known logger."""
    loggers = {
        name: {"level": logging.getLevelName(logger.level), "effective": _effective(logger)}
        for name, logger in sorted(_known_loggers().items())
    }
    return {
        "root": {"level": _effective(logging.getLogger())},
        "handlers": {
            name: {"level": logging.getLevelName(handler.level)}
            for name, handler in sorted(_known_handlers().items())
        },
        "loggers": loggers,
    }


def change_levels(wanted: object) -> None:
    """Change levels as `{"level": ...}` or the level part of a dictConfig says; all or nothing.

    Raises InvalidInput that names the key for everything else.
    """
    changes = [(target, level) for target, level in _changes(wanted)]
    for target, level in changes:
        target.setLevel(level)


def _changes(wanted: object) -> list[tuple[logging.Logger | logging.Handler, str]]:
    changes: list[tuple[logging.Logger | logging.Handler, str]] = []
    for key, value in _object(wanted, "body").items():
        if key == "level":
            changes.append((logging.getLogger(), _level(value, key)))
        elif key == "root":
            changes.append((logging.getLogger(), _only_level(value, key)))
        elif key == "loggers":
            changes += _named_changes(value, key, _known_loggers())
        elif key == "handlers":
            changes += _named_changes(value, key, _known_handlers())
        elif key not in _HARMLESS:
            raise InvalidInput("only levels can be changed", where=key[:100])
        elif value != _HARMLESS[key] or isinstance(value, bool) != isinstance(_HARMLESS[key], bool):
            raise InvalidInput(f"can only be {_HARMLESS[key]}", where=key)
    return changes


def _named_changes(
    value: object, where: str, known: Mapping[str, logging.Logger | logging.Handler]
) -> list[tuple[logging.Logger | logging.Handler, str]]:
    changes = []
    for name, setting in _object(value, where).items():
        place = f"{where}.{name[:100]}"
        if name not in known:
            raise InvalidInput("there is no such one", where=place)
        changes.append((known[name], _only_level(setting, place)))
    return changes


def _only_level(value: object, where: str) -> str:
    setting = _object(value, where)
    for key in setting:
        if key != "level":
            raise InvalidInput("only levels can be changed", where=f"{where}.{key[:100]}")
    return _level(setting.get("level"), f"{where}.level")


def _level(value: object, where: str) -> str:
    if not isinstance(value, str) or value.upper() not in LEVELS:
        raise InvalidInput(f"must be one of {', '.join(LEVELS)}", where=where)
    return value.upper()


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput("must be a JSON object", where=where)
    return value


def _effective(logger: logging.Logger) -> str:
    return logging.getLevelName(logger.getEffectiveLevel())


def _known_handlers() -> dict[str, logging.Handler]:
    return {name: one for one in logging.getLogger().handlers if (name := one.get_name())}


def _known_loggers() -> dict[str, logging.Logger]:
    """Find every logger that exists, and those that modules of ours will use."""
    ours = {name for name in sys.modules if name.split(".")[0] == "os_credits"}
    names = {"os_credits", *ours, *logging.getLogger().manager.loggerDict}
    return {name: logging.getLogger(name) for name in names}
