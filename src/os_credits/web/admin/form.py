"""What somebody typed into a form, and what is wrong with it: shown again beside each field."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from os_credits.domain.allowance import month_of
from os_credits.domain.amount import credits_of
from os_credits.domain.grant import PRIORITY_MAX
from os_credits.domain.period import full_hour
from os_credits.domain.price import price_of
from os_credits.domain.text import is_blank
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.web.language import N_, gettext, told
from os_credits.web.room import DESK

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from decimal import Decimal

    from aiohttp import web

    from os_credits.domain.amount import Credits

TEXT_LENGTH_MAX = 1024
KEY_LENGTH_MAX = 200
_DIGITS_MAX = 18
NUMBER_MAX = 2**63 - 1
# How inputs of the type datetime-local write an hour, and how they are filled.
HOUR_FORMAT = "%Y-%m-%dT%H:%M"
NEEDED = N_("Please fill this in.")
NO_NUMBER = N_("This is no number. Write it with a point, such as 12.5.")
NO_HOUR = N_("This is no hour. Write it such as 2026-01-31T14:00 (UTC).")
NO_FULL_HOUR = N_("This must be a full hour (UTC).")
NO_CHOICE = N_("Please choose one of the list.")
UNPRINTABLE = N_("This must consist of printable characters.")
TOO_LONG = N_("This is too long.")
NOT_POSITIVE = N_("This must be more than 0.")
NO_WHOLE_NUMBER = N_("This must be a whole number from %(low)s to %(high)s.")
SENT_BEFORE = N_(
    "This form was carried out before, with other content. Look at what is there now; send it "
    "again if you want this as well."
)
# How a flow says that an idempotency key stands for something else.
_KEY_TAKEN = "idempotency key"
# How what reads numbers says that something is none at all.
_UNREADABLE = "is no number"
Value = TypeVar("Value")


class Form:
    """The fields of a form by their names, and its errors: by field, or of the whole."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        """Take what was typed; nothing for a form that is shown for the first time."""
        self.values = dict(values or {})
        self.errors: dict[str, str] = {}
        self.problems: list[str] = []

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong so far."""
        return not self.errors and not self.problems

    @property
    def is_sent(self) -> bool:
        """Tell whether somebody has filled it in."""
        return bool(self.values)

    def value(self, name: str, default: str = "") -> str:
        """Give what stands in a field: what was typed, else what it is filled with."""
        return self.values.get(name, default)

    def error(self, name: str) -> str:
        """Give what is wrong with a field, '' if nothing is."""
        return self.errors.get(name, "")

    def wrong(self, name: str, sentence: str) -> None:
        """Say what is wrong with a field; the first finding counts."""
        self.errors.setdefault(name, sentence)

    def text(self, name: str, *, needed: bool = False) -> str:
        """Read one line of text without what surrounds it."""
        text = self.value(name).strip()
        if needed and is_blank(text):
            self.wrong(name, gettext(NEEDED))
        elif not text.isprintable():
            self.wrong(name, gettext(UNPRINTABLE))
        elif len(text) > TEXT_LENGTH_MAX:
            self.wrong(name, gettext(TOO_LONG))
        return text

    def amount(self, name: str, *, may_be_negative: bool = False) -> Credits | None:
        """Read an amount of credits, more than 0 unless it may be negative; None if it is wrong."""
        amount = self._read(name, credits_of, NO_NUMBER)
        if amount is not None and amount <= 0 and not (may_be_negative and amount):
            self.wrong(name, gettext(NOT_POSITIVE) if not may_be_negative else gettext(NEEDED))
            return None
        return amount

    def price(self, name: str) -> Decimal | None:
        """Read a price; None if it is wrong."""
        return self._read(name, price_of, NO_NUMBER)

    def moment(self, name: str) -> datetime | None:
        """Read a moment (UTC); None where nothing stands, or it is wrong."""
        if not self.value(name).strip():
            return None
        return self._read(name, _moment, NO_HOUR)

    def hour(self, name: str, *, needed: bool = False) -> datetime | None:
        """Read a full hour (UTC); None where nothing stands, or it is wrong."""
        if not self.value(name).strip():
            if needed:
                self.wrong(name, gettext(NEEDED))
            return None
        moment = self._read(name, _moment, NO_HOUR)
        if moment is None:
            return None
        try:
            return full_hour(moment, where=name)
        except InvalidInput:
            self.wrong(name, gettext(NO_FULL_HOUR))
            return None

    def month(self, name: str, *, needed: bool = False) -> datetime | None:
        """Read a month like 2026-01; None where nothing stands, or it is wrong."""
        if not needed and not self.value(name).strip():
            return None
        return self._read(name, month_of, N_("This is no month. Write it such as 2026-01."))

    def whole_number(self, name: str, low: int, high: int) -> int:
        """Read a whole number within bounds; 0 where nothing stands, or it is wrong."""
        text = self.value(name).strip()
        digits = text.removeprefix("-")
        if not text:
            return 0
        if digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS_MAX:
            number = int(text)
            if low <= number <= high:
                return number
        self.wrong(name, gettext(NO_WHOLE_NUMBER, low=low, high=high))
        return 0

    def priority(self) -> int:
        """Read how early credits burn."""
        return self.whole_number("priority", -PRIORITY_MAX, PRIORITY_MAX)

    def one_of(self, name: str, among: Collection[str]) -> str:
        """Read a choice; '' if it is none of them."""
        text = self.value(name)
        if text not in among:
            self.wrong(name, gettext(NO_CHOICE))
            return ""
        return text

    def key(self) -> str:
        """Give the idempotency key that the form was made with; a new one if it lacks one."""
        key = self.value("key")
        is_usable = 0 < len(key) <= KEY_LENGTH_MAX and key.isprintable()
        self.values["key"] = key if is_usable else new_key()
        return self.values["key"]

    def _read(self, name: str, read: Callable[..., Value], problem: str) -> Value | None:
        text = self.value(name).strip()
        if not text:
            self.wrong(name, gettext(NEEDED))
            return None
        try:
            return read(text, where=name)
        except InvalidInput as error:
            is_unreadable = problem != NO_NUMBER or error.message.endswith(_UNREADABLE)
            self.wrong(name, gettext(problem) if is_unreadable else told(error.message))
            return None

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Take in what a flow finds wrong: beside the field that it names, or for the whole."""
        try:
            yield
        except InvalidInput as error:
            if error.where in self.values:
                self.wrong(error.where, told(error.message))
            else:
                self.problems.append(told(str(error)))
        except (Conflict, NotFound) as error:
            if str(error).startswith(_KEY_TAKEN):
                self.values["key"] = new_key()
                self.problems.append(gettext(SENT_BEFORE))
            else:
                self.problems.append(told(str(error)))


def _moment(text: str, *, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "T", 1))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("must be an hour", where=where) from None


def new_key() -> str:
    """Make an idempotency key: it goes into a form, and what that asks for is done once."""
    return uuid4().hex


def form_of(request: web.Request) -> Form:
    """Give the form that was sent; of a field that comes twice the first one counts."""
    sent = request.app[DESK].form_of(request)
    return Form({name: sent[name] for name in dict.fromkeys(sent)})


def query_form(request: web.Request) -> Form:
    """Give what an address asks for, as a form that is filled in."""
    return Form({name: request.query[name] for name in dict.fromkeys(request.query)})


def refused_status(request: web.Request) -> int:
    """Give the status of a form that is shown again: htmx shows no answer that is an error."""
    return 200 if "HX-Request" in request.headers else 422


def conflict_status(request: web.Request) -> int:
    """Give the status of an answer that says: what was looked at has changed."""
    return 200 if "HX-Request" in request.headers else 409


def our_number(text: str) -> int:
    """Read one of our numbers from an address; 0 for what can be none."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX
    return int(text) if is_number else 0
