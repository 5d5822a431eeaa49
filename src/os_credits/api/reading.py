"""Reads queries and JSON bodies into pydantic models; what does not fit names its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from os_credits.api.context import ACCESS, context_of
from os_credits.domain.amount import credits_of
from os_credits.domain.mail import mail_address
from os_credits.domain.price import price_of
from os_credits.errors import InvalidInput, TooLarge, UnsupportedMedia

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")
TEXT_LENGTH_MAX = 1024
PROBLEMS_SHOWN_MAX = 3
# A '+' that was not quoted in a URL arrives as a space.
_LOST_PLUS = re.compile(r"([T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (?=\d\d:?\d\d$)")
_DATE_AND_SOMETHING = re.compile(r"\d{4}-\d\d-\d\d([T ].+)?")


def query_of(request: web.Request, model: type[Model]) -> Model:
    """Read the query; unknown names are ignored, a name given twice is refused."""
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values and name in model.model_fields:
            raise InvalidInput("is given more than once", where=name)
        values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise problem_of(error) from None


async def body_of(request: web.Request, model: Any, *, any_type: bool = False) -> Any:
    """Read a JSON body as a model, or as any other type that pydantic knows.

    Without `any_type` the content type must be JSON, which no form of a foreign page can send.
    """
    if not any_type and not request.content_type.endswith(("/json", "+json")):
        raise UnsupportedMedia("send application/json", where="Content-Type")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("send the body as it is", where="Content-Encoding")
    bodies = context_of(request).bodies
    with bodies.lease(request[ACCESS]) as lease:
        body = await bodies.read(request, lease)
        if len(body) > request.client_max_size:
            raise TooLarge(f"a JSON body holds at most {request.client_max_size} bytes")
        try:
            return TypeAdapter(model).validate_json(body)
        except ValidationError as error:
            raise problem_of(error) from None


def problem_of(error: ValidationError) -> InvalidInput:
    """Put pydantic's findings into one sentence that names the place of each."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = [".".join(str(part) for part in problem["loc"]) or "body" for problem in found]
    messages = [problem["msg"].removeprefix("Value error, ") for problem in found]
    further = [
        f"{place}: {message}" for place, message in zip(places[1:], messages[1:], strict=True)
    ]
    message = "; ".join([messages[0], *further[: PROBLEMS_SHOWN_MAX - 1]])
    return InvalidInput(message, where=places[0])


def moment_of(value: object) -> datetime:
    """Read an ISO 8601 date or time; without a zone it is UTC, and a lost '+' is put back."""
    if isinstance(value, datetime):
        return value
    text = _LOST_PLUS.sub(r"\1+", value.strip()) if isinstance(value, str) else ""
    problem = ValueError("must be a date or time like 2026-01-31T12:00:00Z")
    if not _DATE_AND_SOMETHING.fullmatch(text):
        raise problem
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem from None


def ours(read: Callable[[Any], Value]) -> Callable[[Any], Value]:
    """Let pydantic see what our own readers find wrong, so that it can name the place."""

    def check(value: Any) -> Value:
        try:
            return read(value)
        except InvalidInput as error:
            raise ValueError(error.message) from None

    return check


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the character NUL")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must consist of printable characters")
    return text


def _number_text(value: object) -> Decimal | str | int:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    raise ValueError('must be a text like "12.5": a JSON number with a point is not exact')


def _price(value: object) -> Decimal | None:
    return None if value is None else price_of(_number_text(value))


def _count_of(value: Decimal) -> Decimal:
    if value != round(value, 6):
        raise ValueError("must have at most six digits after the point")
    return value


def _amount_schema(description: str, **more: Any) -> WithJsonSchema:
    schema = {"type": ["string", "integer"], "description": description, "examples": ["12.5"]}
    return WithJsonSchema(schema | more)


Moment = Annotated[
    datetime,
    BeforeValidator(moment_of),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
    WithJsonSchema(
        {
            "type": "string",
            "description": "ISO 8601 date or time, UTC unless it names a zone",
            "examples": ["2026-01-31T12:00:00Z", "2026-01-31"],
        },
        mode="validation",
    ),
]
Text = Annotated[str, Field(max_length=TEXT_LENGTH_MAX), AfterValidator(_no_nul)]
Name = Annotated[Text, Field(min_length=1)]
Line = Annotated[str, Field(max_length=TEXT_LENGTH_MAX), AfterValidator(_printable)]
Reason = Annotated[Line, Field(min_length=1)]
Amount = Annotated[
    Decimal,
    BeforeValidator(ours(lambda value: credits_of(_number_text(value)))),
    _amount_schema("Credits, at most six digits after the point"),
]
PriceText = Annotated[
    Decimal | None,
    BeforeValidator(ours(_price)),
    _amount_schema("Credits for one priced unit, or 'none'", examples=["1.6", "none"]),
]
Address = Annotated[
    str, AfterValidator(ours(mail_address)), WithJsonSchema({"type": "string", "format": "email"})
]
Count = Annotated[
    Decimal,
    Field(ge=0, le=10**9),
    AfterValidator(_count_of),
    WithJsonSchema({"type": ["number", "string"], "minimum": 0, "maximum": 10**9}),
]
