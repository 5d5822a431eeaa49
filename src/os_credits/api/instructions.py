"""What all instructions to accounts share: the idempotency key, and the shape of an answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import uuid4

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from os_credits.api.account_shapes import InstructionAnswer
from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT
from os_credits.api.reading import Amount, Line, Reason
from os_credits.api.routes import Answer, json_response
from os_credits.api.shapes import BalanceShape, ConflictShape
from os_credits.domain.grant import PRIORITY_MAX
from os_credits.domain.instruction import Instruction
from os_credits.errors import InvalidInput
from os_credits.flows.accounts import Done, instruct

KEY_LENGTH_MAX = 200
IDEMPOTENCY_HEADER = "Idempotency-Key"


def _more_than_zero(amount: Decimal) -> Decimal:
    if amount <= 0:
        raise ValueError("must be more than 0")
    return amount


PositiveAmount = Annotated[Amount, AfterValidator(_more_than_zero)]
Priority = Annotated[int, Field(strict=True, ge=-PRIORITY_MAX, le=PRIORITY_MAX)]


class Told(BaseModel):
    """The base of all that is told to an account; with the same key a repetition is harmless."""

    model_config = ConfigDict(extra="forbid")

    idempotency_key: Annotated[Line, Field(min_length=1, max_length=KEY_LENGTH_MAX)] | None = Field(
        None, description=f"Also taken from the header {IDEMPOTENCY_HEADER}"
    )


class Explained(Told):
    """What may only be told with a reason."""

    reason: Reason


def answers(
    done: str, conflict: str, model: type[InstructionAnswer] = InstructionAnswer
) -> dict[int, Answer]:
    """Declare what an instruction answers: `done` says what a new one did."""
    return {
        200: Answer("The same key has done this before; nothing was added", model),
        201: Answer(done, model),
        409: Answer(
            f"An ambiguous name, a key that was used for something else, or {conflict}",
            ConflictShape,
        ),
    } | FOUND_NO_PROJECT


def author_and_key(request: web.Request, body: Told) -> tuple[str, str]:
    """Say who instructs, and under which key: from the body or the header, else a new one."""
    return access_of(request).name, idempotency_key(request, body.idempotency_key)


def idempotency_key(request: web.Request, in_body: str | None) -> str:
    """Take the key from the body or the header; without one, each request acts anew."""
    sent = request.headers.getall(IDEMPOTENCY_HEADER, [])
    keys = {*sent, *([in_body] if in_body else [])}
    if len(keys) > 1:
        raise InvalidInput("differs from the one in the body", where=IDEMPOTENCY_HEADER)
    key = next(iter(keys), None) or uuid4().hex
    if not key.isprintable() or len(key) > KEY_LENGTH_MAX:
        raise InvalidInput(f"1 to {KEY_LENGTH_MAX} printable characters", where=IDEMPOTENCY_HEADER)
    return key


async def carry_out(request: web.Request, instruction: Instruction) -> Done:
    """Do what was asked for, once for its key."""
    context = context_of(request)
    return await instruct(context.pool, instruction, context.watch)


async def carried_out(request: web.Request, instruction: Instruction) -> web.Response:
    """Do what was asked for, once for its key, and say what came of it."""
    done = await carry_out(request, instruction)
    return made(answer_of(done, instruction.idempotency_key))


def answer_of(done: Done, key: str) -> InstructionAnswer:
    """Shape what an instruction did."""
    return InstructionAnswer(
        created=done.created,
        idempotency_key=key,
        grant_id=done.effect.grant_id,
        transfer_id=done.effect.transfer_id,
        allowance_id=done.effect.allowance_id,
        entry_id=done.effect.entry_id,
        balance=BalanceShape.model_validate(done.balance),
    )


def made(answer: InstructionAnswer) -> web.Response:
    """Answer 201 for what is new, 200 for what the same key did before."""
    return json_response(answer, status=201 if answer.created else 200)
