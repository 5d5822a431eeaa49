"""What a mail tells, as words and figures in one language, before it has a form.

The same content goes into the text and into the page. Pure, but for the templates' words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from os_credits.domain.notice import NoticeKind
from os_credits.notify.facts import also_reached, burned_most, run_out, statement_lines
from os_credits.notify.figures import shown_credits, shown_date, shown_time, shown_whole
from os_credits.notify.headers import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.mail import DueMail, Language, Tiding
    from os_credits.domain.notice import Notice
    from os_credits.domain.project import Project
    from os_credits.notify.wording import Wording, Words

PERCENT_DIGITS = 3
# How many notices a digest tells in full.
ITEMS_MAX = 50
# How many resources are named in a digest for each of its notices.
BURNED_IN_DIGEST_MAX = 3
NAME_LENGTH_MAX = 60
# How many other lines are named that the same notice told.
ALSO_MAX = 5
# How many sums of a final statement are named.
LINES_MAX = 20
# From this share of the grants on there is nothing to worry about; below, the colours of a fire.
_CALM_PERCENT = 50
_CALM, _WARM, _HOT = "#2e7d4f", "#c77700", "#c62f2f"
_OF_BALANCE = (NoticeKind.PERCENT, NoticeKind.CREDITS)
_OVER = (NoticeKind.CLOSED, NoticeKind.LATE_USAGE)
_GRAVITY = (
    NoticeKind.PERCENT,
    NoticeKind.CREDITS,
    NoticeKind.DAYS,
    NoticeKind.BURN,
    NoticeKind.LATE_USAGE,
    NoticeKind.CLOSED,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of facts."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Amount:
    """What one resource used, or one sum of a statement."""

    name: str
    amount: str


@dataclass(frozen=True, slots=True)
class Item:
    """What is told of one notice; '' and None where there is nothing to tell.

    `bar_percent` is what is left of the grants, from 0 to 100; the widths are of the text.
    """

    headline: str
    rows: tuple[Row, ...]
    forecast: str
    amounts_title: str
    amounts: tuple[Amount, ...]
    link: str
    advice: str
    bar_percent: int | None
    colour: str
    label_width: int
    amount_width: int


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail tells: its items, the gravest first, and what stands around them."""

    language: str
    subject: str
    is_digest: bool
    greeting: str
    intro: str
    redirected: str
    items: tuple[Item, ...]
    more: str
    link_text: str
    why: str

    def for_template(self) -> dict[str, Any]:
        """Give all of it by name."""
        return asdict(self)


def gravest_first(tidings: Sequence[Tiding]) -> list[Tiding]:
    """Put first who has no credits left, then who has the smallest share of them left."""

    def gravity(one: Tiding) -> tuple[Decimal | int, ...]:
        notice = one.notice
        share = notice.balance / notice.granted if notice.granted > 0 else Decimal("Infinity")
        is_over = notice.kind in _OVER
        return (is_over, notice.balance > 0, share, _GRAVITY.index(notice.kind), notice.id)

    return sorted(tidings, key=gravity)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads mails in one language; `public_url` is '' where no page can be linked."""

    wording: Wording
    language: Language
    public_url: str
    precision: int

    def read(self, mail: DueMail, *, redirected_from: str = "") -> Content:
        """Put into words what the mail tells; `redirected_from` is who would have got it."""
        tidings = gravest_first(mail.tidings)
        owner = one_line(mail.recipient_name)
        around = {"owner": owner, "count": len(tidings), "intended": redirected_from}
        left_out = len(tidings) - ITEMS_MAX
        items = [self._item(one, around, is_digest=mail.is_digest) for one in tidings[:ITEMS_MAX]]
        words = self.wording.words(self.language, self._facts(tidings[0]) | around)
        subject = items[0].headline
        if mail.is_digest and len(items) > 1:
            subject = words("digest_subject", first=subject)
        if redirected_from:
            subject = words("redirected_subject", subject=subject)
        return Content(
            language=self.language,
            subject=subject,
            is_digest=mail.is_digest,
            greeting=words("greeting"),
            intro=words("digest_intro") if mail.is_digest else "",
            redirected=words("redirected") if redirected_from else "",
            items=tuple(items),
            more=words("more_notices", more=left_out) if left_out > 0 else "",
            link_text=words("link_text"),
            why=words("digest_why" if mail.is_digest else "why"),
        )

    def _item(self, one: Tiding, around: dict[str, object], *, is_digest: bool) -> Item:
        notice = one.notice
        words = self.wording.words(self.language, self._facts(one) | around)
        rows = tuple(self._rows(one, words))
        is_over = notice.kind in _OVER
        if is_over:
            amounts = self._statement(notice, words)
        else:
            amounts = self._burned(notice, words, BURNED_IN_DIGEST_MAX if is_digest else None)
        percent = _percent_left(notice)
        return Item(
            headline=words("subject"),
            rows=rows,
            forecast=words("forecast"),
            amounts_title=words("statement_title" if is_over else "burned_title"),
            amounts=amounts,
            link=history_link(one.project, self.public_url),
            advice="" if is_digest else words("advice"),
            bar_percent=percent,
            colour=_colour(notice, percent),
            label_width=max(len(row.label) for row in rows) + 1,
            amount_width=max((len(each.amount) for each in amounts), default=0),
        )

    def _rows(self, one: Tiding, words: Words) -> list[Row]:
        notice, project = one.notice, one.project
        rows = [Row(words("label_project"), _name_of(project))]
        if project.domain:
            rows.append(Row(words("label_domain"), one_line(project.domain)))
        if project.site:
            rows.append(Row(words("label_site"), one_line(project.site)))
        amounts: list[tuple[str, Decimal]] = [("label_left", notice.balance)]
        if notice.granted > 0:
            amounts.append(("label_granted", notice.granted))
        expected = run_out(notice.facts)
        if expected and expected.burn_per_day and expected.burn_per_day > 0:
            amounts.append(("label_burn", expected.burn_per_day))
        rows += [
            Row(words(label), words("in_credits", amount=self._credits(amount)))
            for label, amount in amounts
        ]
        if line := words("line_reached"):
            rows.append(Row(words("label_line"), line))
            if also := self._also(notice, words, line):
                rows.append(Row(words("label_also"), also))
        rows.append(Row(words("label_time"), shown_time(notice.created_at, self.language)))
        return rows

    def _also(self, notice: Notice, words: Words, line: str) -> str:
        """Name the other lines that the notice told, each once; `line` is told already."""
        told = [
            words("line_reached", kind=each.kind.value, line=self._figure(each.kind, each.line))
            for each in also_reached(notice.facts)
        ]
        others = [each for each in dict.fromkeys(told) if each not in ("", line)]
        left_out = len(others) - ALSO_MAX
        rest = [words("more_lines", more=left_out)] if left_out > 0 else []
        return "; ".join(others[:ALSO_MAX] + rest)

    def _burned(self, notice: Notice, words: Words, limit: int | None) -> tuple[Amount, ...]:
        return tuple(
            Amount(
                _named(each.resource, each.meter, each.flavor),
                words("in_credits", amount=self._credits(each.credits)),
            )
            for each in burned_most(notice.facts)[:limit]
        )

    def _statement(self, notice: Notice, words: Words) -> tuple[Amount, ...]:
        lines = statement_lines(notice.facts)
        amounts = [
            Amount(
                _named(words("entry_kind", entry=one_line(each.entry)), each.meter, each.flavor),
                words("in_credits", amount=self._credits(each.credits)),
            )
            for each in lines[:LINES_MAX]
        ]
        if len(lines) > LINES_MAX:
            amounts.append(Amount(words("more_lines", more=len(lines) - LINES_MAX), ""))
        return tuple(amounts)

    def _facts(self, one: Tiding) -> dict[str, object]:
        """Give what templates know of one notice; amounts and names are for reading already."""
        notice = one.notice
        return {
            "kind": notice.kind.value,
            "line": self._figure(notice.kind, notice.line),
            "value": self._figure(notice.kind, notice.value),
            "project": _name_of(one.project),
            "domain": one_line(one.project.domain),
            "site": one_line(one.project.site),
            "left": self._credits(notice.balance),
            "debt": self._debt(notice.balance),
            "granted": self._credits(notice.granted),
            "forecast": self._forecast(notice),
        }

    def _forecast(self, notice: Notice) -> dict[str, object]:
        # A forecast from before the last credits went would contradict the balance.
        known = run_out(notice.facts) if notice.balance > 0 else None
        early, late = (self._date(end) for end in (known.early, known.late)) if known else ("", "")
        if early == late:
            early = late = ""
        return {
            "state": known.state if known else "",
            "needs_days": known.needs_days if known else 0,
            "early": early,
            "middle": self._date(known.middle if known else None),
            "late": late,
        }

    def _figure(self, kind: NoticeKind, figure: Decimal | None) -> str:
        """Write a line or a value in the unit of its kind."""
        if figure is None:
            return ""
        if kind is NoticeKind.PERCENT:
            return shown_credits(figure, PERCENT_DIGITS, self.language)
        if kind is NoticeKind.DAYS:
            return shown_whole(figure, self.language)
        return self._credits(figure)

    def _credits(self, amount: Decimal) -> str:
        return shown_credits(amount, self.precision, self.language)

    def _debt(self, balance: Decimal) -> str:
        debt = self._credits(max(-balance, Decimal(0)))
        return "" if debt == "0" else debt

    def _date(self, moment: datetime | None) -> str:
        return shown_date(moment, self.language) if moment else ""


def history_link(project: Project, public_url: str) -> str:
    """Link the project's page; site and domain keep equal names apart."""
    if not public_url:
        return ""
    known = {"site": project.site}
    if not project.external_id:
        known["domain"] = project.domain
    query = urlencode({key: value for key, value in known.items() if value})
    path = project.in_path(project.external_id or project.name)
    link = f"{public_url.rstrip('/')}/credits_history/{quote(path, safe='')}"
    return link + (f"?{query}" if query else "")


def _name_of(project: Project) -> str:
    return one_line(project.name) or one_line(project.external_id) or "?"


def _named(first: str, *more: str) -> str:
    """Write a name with what tells it from others in brackets."""
    name = one_line(first, NAME_LENGTH_MAX)
    rest = ", ".join(filter(None, (one_line(each, NAME_LENGTH_MAX) for each in more)))
    return f"{name} ({rest})" if name and rest else name or rest or "?"


def _percent_left(notice: Notice) -> int | None:
    if notice.granted <= 0 or notice.kind in _OVER:
        return None
    return int(min(max(notice.balance * 100 / notice.granted, Decimal(0)), Decimal(100)))


def _colour(notice: Notice, percent: int | None) -> str:
    """Tell at a glance: nothing left, running low, or something to know."""
    if notice.kind is NoticeKind.CLOSED:
        return _CALM
    if notice.balance <= 0:
        return _HOT
    is_calm = notice.kind in _OF_BALANCE and percent is not None and percent > _CALM_PERCENT
    return _CALM if is_calm else _WARM
