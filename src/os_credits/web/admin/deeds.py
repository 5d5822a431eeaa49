"""What an administrator can do to a project's account by a form, and how each form is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.allowance import AllowanceEnd, AllowanceRequest
from os_credits.domain.amount import Credits
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.instruction import Adjustment, TopUp, Transfer, Void
from os_credits.errors import Conflict, NotFound
from os_credits.flows.projects import resolve_project
from os_credits.web.language import N_, gettext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from os_credits.domain.grant import Grant
    from os_credits.domain.instruction import Instruction
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection
    from os_credits.web.admin.form import Form

SEVERAL = N_("Several projects have this name. Write the number of one of them: %(numbers)s.")
NO_PROJECT = N_("There is no such project.")
SAME_PROJECT = N_("This is the same project.")


@dataclass(frozen=True, slots=True)
class About:
    """Whose account a form is about, who sent it, and the number in its address (0: none)."""

    conn: Connection
    project: Project
    author: str
    number: int


@dataclass(frozen=True, slots=True)
class Deed:
    """A form: its name, its path below the project's, and how what was sent is read.

    `read` gives None if something is wrong, which the form then says. `api` is the route by
    which machines do the same; `done` is told once it is done.
    """

    name: str
    path: str
    api: str
    summary: str
    done: str
    read: Callable[[Form, About], Awaitable[Instruction | None]]


async def _grant(form: Form, about: About) -> GrantRequest | None:
    amount, reason = form.amount("amount"), form.text("reason")
    start, end, priority = form.hour("valid_from"), form.hour("expires_at"), form.priority()
    if form.errors or amount is None:
        return None
    with form.judged():
        terms = Terms(start, end, priority)
        return GrantRequest(about.project.id, amount, reason, about.author, form.key(), terms)
    return None


async def _top_up(form: Form, about: About) -> TopUp | None:
    amount, reason = form.amount("amount"), form.text("reason")
    if form.errors or amount is None:
        return None
    return TopUp(about.project.id, about.number, amount, reason, about.author, form.key())


async def _void(form: Form, about: About) -> Void | None:
    reason = form.text("reason", needed=True)
    if form.errors:
        return None
    return Void(about.project.id, about.number, reason, about.author, form.key())


async def _adjust(form: Form, about: About) -> Adjustment | None:
    amount = form.amount("amount", may_be_negative=True)
    reason = form.text("reason", needed=True)
    if form.errors or amount is None:
        return None
    return Adjustment(about.project.id, amount, reason, about.author, form.key())


async def _transfer(form: Form, about: About) -> Transfer | None:
    name = form.text("to", needed=True)
    amount = form.amount("amount")
    reason = form.text("reason", needed=True)
    end = form.hour("expires_at")
    receiver = await _receiver(form, about, name) if name and not form.error("to") else None
    if form.errors or amount is None or receiver is None:
        return None
    # The number goes on to the confirmation: a name could mean another project by then.
    form.values["to"] = f"#{receiver.id}"
    with form.judged():
        return Transfer(
            about.project.id, receiver.id, amount, end, reason, about.author, form.key()
        )
    return None


async def _receiver(form: Form, about: About, name: str) -> Project | None:
    try:
        receiver = await resolve_project(about.conn, name)
    except NotFound:
        form.wrong("to", gettext(NO_PROJECT))
        return None
    except Conflict as error:
        numbers = ", ".join(written_candidate(one) for one in error.candidates)
        form.wrong("to", gettext(SEVERAL, numbers=numbers))
        return None
    if receiver.id == about.project.id:
        form.wrong("to", gettext(SAME_PROJECT))
        return None
    return receiver


def written_candidate(candidate: dict[str, str]) -> str:
    """Write one of several projects of a name, so that somebody can choose it."""
    place = " ".join(filter(None, (candidate["site"], candidate["domain"])))
    return f"{candidate['number']} ({place})" if place else candidate["number"]


async def _allow(form: Form, about: About) -> AllowanceRequest | None:
    amount, reason = form.amount("amount"), form.text("reason", needed=True)
    first, end = form.month("first_month", needed=True), form.month("end_month")
    priority = form.priority()
    if form.errors or amount is None or first is None:
        return None
    with form.judged():
        return AllowanceRequest(
            project_id=about.project.id,
            amount=amount,
            first_month=first,
            end_month=end,
            carries_over=bool(form.value("carries_over")),
            reason=reason,
            author=about.author,
            idempotency_key=form.key(),
            priority=priority,
        )
    return None


async def _end_allowance(form: Form, about: About) -> AllowanceEnd | None:
    end, reason = form.month("end_month", needed=True), form.text("reason", needed=True)
    if form.errors or end is None:
        return None
    with form.judged():
        return AllowanceEnd(about.project.id, about.number, end, reason, about.author, form.key())
    return None


def taken_by(instruction: Instruction, grant: Grant | None) -> Credits | None:
    """Give how many credits an instruction takes away from the account; None: it takes none."""
    if isinstance(instruction, Transfer):
        return instruction.amount
    if isinstance(instruction, Adjustment) and instruction.amount < 0:
        return Credits(instruction.amount.copy_negate())
    if isinstance(instruction, Void) and grant is not None:
        return grant.amount
    return None


_PROJECT = "POST /api/v1/projects/{project}"
DEEDS = (
    Deed(
        "grant",
        "/grants",
        f"{_PROJECT}/grants",
        "Give credits to a project",
        N_("The credits are granted."),
        _grant,
    ),
    Deed(
        "top_up",
        "/grants/{number}/top-up",
        f"{_PROJECT}/grants/{{grant}}/top-up",
        "Add credits on the terms of a grant",
        N_("The credits are added."),
        _top_up,
    ),
    Deed(
        "void",
        "/grants/{number}/void",
        f"{_PROJECT}/grants/{{grant}}/void",
        "Take back a grant of which nothing is burned",
        N_("The grant is taken back."),
        _void,
    ),
    Deed(
        "adjust",
        "/adjustments",
        f"{_PROJECT}/adjustments",
        "Put an account right by hand",
        N_("The account is adjusted."),
        _adjust,
    ),
    Deed(
        "transfer",
        "/transfers",
        f"{_PROJECT}/transfers",
        "Move credits to another project",
        N_("The credits are moved."),
        _transfer,
    ),
    Deed(
        "allowance",
        "/allowances",
        f"{_PROJECT}/allowances",
        "Give credits every month",
        N_("The allowance gives from now on."),
        _allow,
    ),
    Deed(
        "end_allowance",
        "/allowances/{number}/end",
        f"{_PROJECT}/allowances/{{allowance}}/end",
        "End an allowance",
        N_("The allowance ends."),
        _end_allowance,
    ),
)
