"""Lines of the audit log in words: what was done, as a sentence that goes on after the name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from os_credits.errors import InvalidInput
from os_credits.web.language import N_, gettext
from os_credits.web.text import date_text, quantity_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from os_credits.domain.audit import AuditLine

NOTHING = "\u2013"
# What is meant by each kind of thing, for the list to choose from.
SUBJECTS = {
    "price": N_("prices"),
    "meter_version": N_("meters"),
    "project_grant": N_("grants and adjustments"),
    "grant_void": N_("grants taken back"),
    "transfer": N_("transfers"),
    "allowance": N_("monthly allowances"),
    "allowance_end": N_("ends of allowances"),
    "budget": N_("budgets"),
    "budget_void": N_("budgets taken back"),
    "organisation": N_("organisations"),
    "organisation_place": N_("places of organisations"),
    "membership": N_("memberships of projects"),
    "closing": N_("closings"),
    "exclusion": N_("exclusions"),
    "exclusion_lift": N_("lifted exclusions"),
    "settlement": N_("verdicts on usage"),
    "threshold_rule": N_("lines of notices"),
    "project_owner": N_("people of projects"),
    "manager": N_("managers"),
    "login": N_("logins"),
    "api_key": N_("keys"),
    "whitelist": N_("who is billed"),
    "flavor_spec": N_("sizes of flavors"),
}
_VERDICTS = {
    "bill": N_("decided to bill unclear usage: %(reason)s"),
    "waive": N_("decided to waive unclear usage: %(reason)s"),
    "reopen": N_("opened a verdict on usage again: %(reason)s"),
}
_GRANTS = {
    "grant": N_("granted %(amount)s credits: %(reason)s"),
    "adjustment": N_("adjusted the account by %(amount)s credits: %(reason)s"),
    "transfer": N_("credits came by a transfer: %(amount)s, %(reason)s"),
    "opening": N_("brought %(amount)s credits along: %(reason)s"),
}
_PERSON_FIELDS = {
    "role": N_("role"),
    "name": N_("name"),
    "language": N_("language"),
    "wants": N_("what is heard of"),
    "digest": N_("one mail a day"),
    "email": N_("address"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """What numbers in details stand for; projects are those that the visitor may see."""

    meters: Mapping[int, str] = field(default_factory=dict)
    flavors: Mapping[int, str] = field(default_factory=dict)
    projects: Mapping[int, str] = field(default_factory=dict)
    organisations: Mapping[int, str] = field(default_factory=dict)


def words_of(line: AuditLine, names: Names) -> str:
    """Say what was done, without who did it."""
    say = _WORDS.get(line.subject)
    if say is not None:
        return say(line, names)
    subject = gettext(SUBJECTS[line.subject]) if line.subject in SUBJECTS else line.subject
    return gettext("changed %(subject)s", subject=subject)


def _amount(value: Any) -> str:
    try:
        return quantity_text(Decimal(str(value)))
    except ArithmeticError:
        return str(value)


def _exact(value: Any) -> str:
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _hour(value: Any) -> str:
    try:
        return date_text(datetime.fromisoformat(str(value)))
    except ValueError:
        return str(value)


def _reason(line: AuditLine) -> str:
    return str(line.details.get("reason") or NOTHING)


def _price(line: AuditLine, names: Names) -> str:
    details = line.details
    meter = names.meters.get(details.get("meter_id", 0), "?")
    flavor = names.flavors.get(details.get("flavor_id") or 0, "")
    what = f"{meter} / {flavor}" if flavor else meter
    hour = _hour(details.get("valid_from"))
    if details.get("credits_per_unit") is None:
        return gettext("ended the price of %(what)s from %(hour)s on", what=what, hour=hour)
    amount = _exact(details["credits_per_unit"])
    return gettext(
        "set the price of %(what)s to %(amount)s credits from %(hour)s on",
        what=what, amount=amount, hour=hour,
    )  # fmt: skip


def _meter(line: AuditLine, names: Names) -> str:
    meter = names.meters.get(line.details.get("meter_id", 0), "?")
    hour = _hour(line.details.get("valid_from"))
    return gettext("defined meter %(meter)s from %(hour)s on", meter=meter, hour=hour)


def _grant(line: AuditLine, _names: Names) -> str:
    text = _GRANTS.get(str(line.details.get("kind")), _GRANTS["grant"])
    return gettext(text, amount=_amount(line.details.get("amount", 0)), reason=_reason(line))


def _transfer(line: AuditLine, names: Names) -> str:
    other = names.projects.get(line.details.get("to_project_id", 0))
    return gettext(
        "moved %(amount)s credits to %(project)s: %(reason)s",
        amount=_amount(line.details.get("amount", 0)),
        project=other or gettext("another project"),
        reason=_reason(line),
    )


def _allowance(line: AuditLine, _names: Names) -> str:
    amount = _amount(line.details.get("amount", 0))
    text = N_("granted %(amount)s credits every month: %(reason)s")
    return gettext(text, amount=amount, reason=_reason(line))


def _budget(line: AuditLine, names: Names) -> str:
    return gettext(
        "gave organisation %(organisation)s a budget of %(amount)s credits: %(reason)s",
        organisation=_organisation_name(line, names),
        amount=_amount(line.details.get("amount", 0)),
        reason=_reason(line),
    )


def _organisation_name(line: AuditLine, names: Names) -> str:
    return names.organisations.get(line.organisation_id or 0, f"#{line.organisation_id}")


def _organisation(line: AuditLine, _names: Names) -> str:
    return gettext("made organisation %(name)s", name=line.details.get("name", "?"))


def _place(line: AuditLine, names: Names) -> str:
    organisation = _organisation_name(line, names)
    parent = line.details.get("parent_id")
    hour = _hour(line.details.get("valid_from"))
    if parent is None:
        text = N_("put organisation %(organisation)s beneath none from %(hour)s on")
        return gettext(text, organisation=organisation, hour=hour)
    return gettext(
        "put organisation %(organisation)s beneath %(parent)s from %(hour)s on",
        organisation=organisation,
        parent=names.organisations.get(parent, f"#{parent}"),
        hour=hour,
    )


def _membership(line: AuditLine, names: Names) -> str:
    hour = _hour(line.details.get("valid_from"))
    if line.organisation_id is None:
        return gettext("took the project out of its organisation from %(hour)s on", hour=hour)
    return gettext(
        "put the project beneath organisation %(organisation)s from %(hour)s on",
        organisation=_organisation_name(line, names), hour=hour,
    )  # fmt: skip


def _closing(line: AuditLine, _names: Names) -> str:
    hour, reason = _hour(line.details.get("hour")), _reason(line)
    if line.details.get("is_closed"):
        return gettext("closed the project from %(hour)s on: %(reason)s", hour=hour, reason=reason)
    return gettext(
        "opened the project again from %(hour)s on: %(reason)s", hour=hour, reason=reason
    )


def _verdict(line: AuditLine, _names: Names) -> str:
    text = _VERDICTS.get(str(line.details.get("verdict")), _VERDICTS["bill"])
    return gettext(text, reason=_reason(line))


def _lines(line: AuditLine, names: Names) -> str:
    text = N_("changed the lines of notices: %(reason)s")
    if line.organisation_id is not None:
        text = N_("changed the lines of notices of organisation %(organisation)s: %(reason)s")
        return gettext(text, organisation=_organisation_name(line, names), reason=_reason(line))
    return gettext(text, reason=_reason(line))


def _person(line: AuditLine, _names: Names) -> str:
    email, role = line.details.get("email", "?"), str(line.details.get("role", ""))
    match line.action:
        case "insert" if role == "member":
            return gettext("added %(email)s as a member", email=email)
        case "insert":
            return gettext("added %(email)s as an owner", email=email)
        case "delete":
            return gettext("removed %(email)s from the project", email=email)
    return gettext("changed %(email)s: %(changes)s", email=email, changes=_changes(line))


def _changes(line: AuditLine) -> str:
    """Name the fields that were changed, from what to what."""
    changed = line.details.get("changed") or {}
    parts = []
    for name, (before, after) in changed.items():
        label = gettext(_PERSON_FIELDS[name]) if name in _PERSON_FIELDS else name
        parts.append(f"{label}: {_shown(before)} → {_shown(after)}")
    return "; ".join(parts) or NOTHING


def _shown(value: Any) -> str:
    match value:
        case None | "":
            return NOTHING
        case bool():
            return gettext("yes") if value else gettext("no")
        case list():
            return ", ".join(map(str, value)) or NOTHING
    return str(value)


def _manager(line: AuditLine, names: Names) -> str:
    values = {
        "email": line.details.get("email", "?"),
        "organisation": _organisation_name(line, names),
    }
    match line.action:
        case "insert":
            text = N_("let %(email)s manage organisation %(organisation)s")
        case "delete":
            text = N_("let %(email)s manage organisation %(organisation)s no more")
        case _:
            text = N_("changed the name of manager %(email)s of organisation %(organisation)s")
    return gettext(text, **values)


def _login(line: AuditLine, _names: Names) -> str:
    email = line.details.get("email", "?")
    if line.action == "insert":
        return gettext("let %(email)s log in", email=email)
    changed = line.details.get("changed") or {}
    said = []
    if "is_administrator" in changed:
        is_now = changed["is_administrator"][1]
        said.append(
            gettext("made %(email)s an administrator", email=email)
            if is_now
            else gettext("made %(email)s an ordinary person", email=email)
        )
    if "disabled_at" in changed:
        said.append(
            gettext("disabled the login of %(email)s", email=email)
            if changed["disabled_at"][1]
            else gettext("let %(email)s log in again", email=email)
        )
    if "password_hash" in changed:
        said.append(gettext("chose a password for %(email)s", email=email))
    return "; ".join(said) or gettext(
        "changed %(email)s: %(changes)s", email=email, changes=_changes(line)
    )


def _key(line: AuditLine, _names: Names) -> str:
    if line.action == "insert":
        scopes = ", ".join(map(str, line.details.get("scopes") or ()))
        name = line.details.get("name", "?")
        return gettext("made key %(name)s that may %(scopes)s", name=name, scopes=scopes)
    return gettext("revoked key %(number)s", number=line.details.get("id", "?"))


def _whitelist(line: AuditLine, _names: Names) -> str:
    chosen = line.details.get("projects")
    if chosen is None:
        return gettext("let all projects be billed")
    return gettext("let only %(count)s projects be billed", count=len(chosen))


def _plain(text: str, number: str = "") -> Callable[[AuditLine, Names], str]:
    """Say a sentence with the reason, and a number of the details."""

    def say(line: AuditLine, _names: Names) -> str:
        return gettext(text, reason=_reason(line), number=line.details.get(number, "?"))

    return say


_WORDS: dict[str, Callable[[AuditLine, Names], str]] = {
    "price": _price,
    "meter_version": _meter,
    "project_grant": _grant,
    "grant_void": _plain(N_("took grant %(number)s back: %(reason)s"), "grant_id"),
    "transfer": _transfer,
    "allowance": _allowance,
    "allowance_end": _plain(N_("ended allowance %(number)s: %(reason)s"), "allowance_id"),
    "budget": _budget,
    "budget_void": _plain(N_("took budget %(number)s back: %(reason)s"), "budget_id"),
    "organisation": _organisation,
    "organisation_place": _place,
    "membership": _membership,
    "closing": _closing,
    "exclusion": _plain(N_("took samples out (exclusion %(number)s): %(reason)s"), "id"),
    "exclusion_lift": _plain(
        N_("took samples in again (exclusion %(number)s): %(reason)s"), "exclusion_id"
    ),
    "settlement": _verdict,
    "threshold_rule": _lines,
    "project_owner": _person,
    "manager": _manager,
    "login": _login,
    "api_key": _key,
    "whitelist": _whitelist,
}


def day_of(text: str) -> datetime:
    """Read a day like 2026-01-31 as its first moment; raises InvalidInput."""
    try:
        return datetime.fromisoformat(f"{text.strip()}T00:00:00+00:00")
    except ValueError:
        raise InvalidInput("must be a day like 2026-01-31", where="since") from None
