"""Draws an explanation for people: a tree from the credits down to the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from os_credits.cli.drawing import (
    FAINT,
    credits_text,
    glued,
    joined,
    moment_text,
    new_grid,
    since_text,
)
from os_credits.cli.usage_line import line_head, line_parts
from os_credits.domain.amount import from_micro
from os_credits.domain.entry import Entry
from os_credits.domain.explanation import (
    DayAccount,
    Event,
    ExplainedCharge,
    ExplainedEntry,
    ExplainedLot,
    Explanation,
    Reach,
    ShownExclusion,
)
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import HOUR
from os_credits.domain.text import legible
from os_credits.rating.formula import number

HASH_DIGITS = 16


def drawn(told: Explanation) -> Iterator[RenderableType]:
    """Give the parts of the drawing, from the top."""
    if told.entry is not None:
        yield _entry_head(told.entry, told)
    else:
        yield _hour_head(told)
    for problem in told.problems:
        yield joined(("  differs  ", "bold red"), (problem, "red"))
    if told.lot is not None:
        yield Text()
        yield _lot(told.lot)
    for charge in told.charges:
        yield Text()
        yield _charge(charge, told)
    if told.other_entries:
        yield Text()
        yield _other_entries(told.other_entries)


def _hour_text(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d %H:%M} to {hour + HOUR:%H:%M} UTC"


def _project(told: Explanation) -> str:
    site = f" of site {told.project.site}" if told.project.site else ""
    return f"{told.project.name or told.project.external_id}{site} (#{told.project.id})"


def _facts(rows: Iterable[tuple[str, str | Text]]) -> Padding:
    grid = new_grid("", "~")
    for name, value in rows:
        grid.add_row(Text(name, FAINT), value if isinstance(value, Text) else Text(legible(value)))
    return Padding(grid, (0, 0, 0, 2))


def _entry_head(asked: ExplainedEntry, told: Explanation) -> RenderableType:
    entry, draft = asked.entry, asked.entry.draft
    rows: list[tuple[str, str | Text]] = [("project", _project(told))]
    rows.append(
        ("for", "  ".join(filter(None, (_hour_text(draft.hour), asked.meter, asked.flavor))))
    )
    rows.append(("booked", f"{moment_text(entry.booked_at)} by {draft.author}"))
    if draft.reason:
        rows.append(("why", draft.reason))
    if draft.corrects is not None:
        rows.append(("corrects", f"#{draft.corrects}"))
    rows.append(
        (
            "balance",
            f"{credits_text(entry.balance)} after it, as line {entry.sequence} of the account",
        )
    )
    rows.append(("key", asked.idempotency_key or draft.entry_key))
    rows.append(("hash", _hash(asked)))
    rows += _exclusions(told.exclusions)
    heading = joined(
        (f"Entry #{asked.id}", "bold"), f"  {draft.kind}  ",
        (f"{credits_text(draft.amount)} credits", "bold"),
    )  # fmt: skip
    return Group(heading, _facts(rows))


def _hash(asked: ExplainedEntry) -> Text:
    text = Text(f"{asked.entry.hash.hex()[:HASH_DIGITS]}…, ")
    if asked.is_hash_right:
        text.append("follows from what is stored and the entry before", "green")
    else:
        text.append("does not follow from what is stored", "bold red")
    if asked.seal is not None:
        text.append(f"; sealed by seal {asked.seal.id}, {moment_text(asked.seal.sealed_at)}")
    return text


def _hour_head(told: Explanation) -> RenderableType:
    charged = sum((one.charged for one in told.charges), Decimal(from_micro(0)))
    rows: list[tuple[str, str | Text]] = [("project", _project(told))]
    rows.append(("as of", moment_text(told.as_of)))
    if not told.charges:
        rows.append(("charges", "none: no usage is known of this hour"))
    rows += _exclusions(told.exclusions)
    heading = joined(
        (f"Hour {_hour_text(told.hour)}", "bold"),
        (f"  {credits_text(charged)} credits", "bold"),
    )
    return Group(heading, _facts(rows))


def _exclusions(exclusions: Sequence[ShownExclusion]) -> Iterator[tuple[str, str | Text]]:
    for one in exclusions:
        series = "" if one.series_id is None else f"series {one.series_id}"
        what = " ".join(filter(None, (one.meter, series))) or "all samples"
        end = "for ever" if one.ends_at is None else f"to {since_text(one.ends_at)}"
        told = f"#{one.id} {what}, from {since_text(one.starts_at)} {end}"
        if one.lifted_at is None:
            more = f" ({number(one.sample_count)} samples of this hour)"
        else:
            more = f" (lifted {moment_text(one.lifted_at)} by {one.lift_author}: {one.lift_reason})"
        yield "excluded", joined(f"{told}, by {one.author}: {one.reason}", (more, FAINT))


def _charge(charge: ExplainedCharge, told: Explanation) -> Tree:
    tree = Tree(
        joined(
            (f"{charge.meter.name}  {charge.flavor}".rstrip(), "bold cyan"),
            (f"   {credits_text(charge.charged)} credits", "bold"),
        ),
        guide_style=FAINT,
    )
    tree.add(_booking(charge, told.entry.id if told.entry is not None else None))
    for usage in charge.lines:
        branch = tree.add(line_head(usage, charge.meter))
        for part in line_parts(usage, charge, told.reach):
            branch.add(part)
    if charge.day is not None:
        tree.add(_day(charge.day, charge.meter))
    elif told.reach is Reach.DAY:
        tree.add(Text("usage of this hour is no longer kept, and its day cost nothing", FAINT))
    if rest := charge.line_count - len(charge.lines):
        known = (
            ""
            if charge.lines_credits is None
            else f"; all cost {credits_text(charge.lines_credits)}"
        )
        tree.add(Text(f"{rest} of {charge.line_count} lines are on other pages{known}", FAINT))
    return tree


def _booking(charge: ExplainedCharge, asked: int | None) -> RenderableType:
    """List bookings and what happened between them, in the order of time."""
    amounts = [credits_text(entry.draft.amount) for _, entry in charge.entries]
    amounts.append(credits_text(-charge.open_difference))
    width = max(map(len, amounts))
    names = max((len(f"#{id_} {entry.draft.kind}") for id_, entry in charge.entries), default=5)
    rows: list[tuple[datetime, int, Text]] = [
        (event.at, 0, _event(event)) for event in charge.events
    ]
    for id_, entry in charge.entries:
        text = Text(f"{f'#{id_} {entry.draft.kind}':{names}}  ")
        text.append(glued(f"{credits_text(entry.draft.amount):>{width}}"))
        if id_ == asked:
            text.append("  ◀ this entry", "bold yellow")
        rows.append((entry.booked_at, id_, text))
    grid = new_grid("", "~")
    for at, _, text in sorted(rows, key=lambda row: row[:2]):
        grid.add_row(Text(moment_text(at), FAINT), text)
    if charge.open_difference:
        open_text = glued(f"{'tally':{names}}  {amounts[-1]:>{width}}")
        since = (
            "" if charge.differs_since is None else f"  since {moment_text(charge.differs_since)}"
        )
        grid.add_row(Text("not booked yet", "yellow"), Text.assemble(open_text, (since, FAINT)))
    elif not charge.entries:
        grid.add_row(Text("nothing to book", FAINT), "")
    return Group(Text("booked", "bold"), grid)


def _event(event: Event) -> Text:
    text = Text(legible(event.what), FAINT)
    if event.since is not None:
        text.append(f" from {since_text(event.since)}")
    if event.until is not None:
        text.append(f" to {since_text(event.until)}")
    if event.author:
        text.append(f", by {legible(event.author)}")
    if event.reason:
        text.append(f": {legible(event.reason)}")
    return text


def _day(day: DayAccount, definition: MeterDefinition) -> RenderableType:
    grid = new_grid("~", ">", "", ">")
    for one in day.lines:
        name = (
            "  ".join(filter(None, (one.resource, *one.identity.values()))) or "all of the project"
        )
        grid.add_row(name, one.units, definition.priced_unit, credits_text(one.credits))
    if rest := day.line_count - len(day.lines):
        grid.add_row(Text(f"{rest} more on other pages", FAINT), "", "", "")
    grid.add_row(Text("the day's resources", "bold"), "", "", Text(credits_text(day.daily), "bold"))
    mark = "green" if day.daily == day.charged else "bold red"
    grid.add_row("the charges of its 24 hours", "", "", Text(credits_text(day.charged), mark))
    heading = joined(
        ("day", "bold"),
        f"  {day.day:%Y-%m-%d}: usage of its hours is no longer kept, sums of the day are",
    )
    return Group(heading, grid)


def _lot(told: ExplainedLot) -> RenderableType:
    """Draw what became of a lot: a line for each part of its life."""
    grant = told.grant
    end = "without end" if grant.expires_at is None else f"to {since_text(grant.expires_at)}"
    heading = joined(
        (f"Grant {grant.id}", "bold"),
        (f"  {credits_text(grant.amount)} credits", "bold"),
        f"  valid from {since_text(grant.valid_from)} {end}, priority {grant.priority}",
    )
    if told.state is None:
        waits = "was taken back" if grant.is_void else "waits for its hour"
        return Group(heading, Padding(Text(waits), (0, 0, 0, 2)))
    grid = new_grid("", ">", ">", ">")
    grid.add_row(*(Text(one, FAINT) for one in ("", "used", "paid by it", "left of it")))
    for span in told.spans:
        until = "now" if span.end is None else since_text(span.end)
        micros = span.used_micro, span.paid_micro, span.left_micro
        grid.add_row(
            f"{since_text(span.start)} to {until}",
            *(credits_text(from_micro(micro)) for micro in micros),
        )
    burned, expired = told.state.burned_micro, told.state.expired_micro
    sums = f"{credits_text(from_micro(burned))} burned, {credits_text(from_micro(expired))} expired"
    return Group(heading, Padding(Group(grid, Text(sums)), (0, 0, 0, 2)))


def _other_entries(entries: Sequence[tuple[int, Entry]]) -> RenderableType:
    grid = new_grid("", "", ">", "~")
    for id_, entry in entries:
        draft = entry.draft
        grid.add_row(
            moment_text(entry.booked_at),
            f"#{id_} {draft.kind}",
            credits_text(draft.amount),
            f"by {draft.author}: {draft.reason}",
        )
    return Group(Text("other entries of this hour", "bold"), Padding(grid, (0, 0, 0, 2)))
