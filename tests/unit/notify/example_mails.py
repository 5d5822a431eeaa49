"""Mails of every kind as they may come; run as a module, it writes them to a folder to look at.

python -m tests.unit.notify.example_mails FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from os_credits.domain.amount import credits_of
from os_credits.domain.mail import Channel, DueMail, Language, MailId, Tiding
from os_credits.domain.notice import Notice, NoticeId, NoticeKind
from os_credits.domain.project import Project
from os_credits.notify.message import Letterhead, render

if TYPE_CHECKING:
    from email.message import EmailMessage

LETTERHEAD = Letterhead(
    sender="Cloud credits <credits@cloud.example>",
    copies=("desk@cloud.example", "audit@cloud.example"),
    public_url="https://credits.cloud.example/",
)
CREATED_AT = datetime(2026, 3, 1, 13, 5, tzinfo=timezone(timedelta(hours=1)))
BURNED = [
    {"resource": "assembly-worker-1", "meter": "vcpu", "flavor": "m1.xlarge", "credits": "96.25"},
    {"resource": "assembly-worker-2", "meter": "vcpu", "flavor": "m1.xlarge", "credits": "81"},
    {"resource": "jupyterhub", "meter": "ram_gib", "flavor": "m1.large", "credits": "40.333333"},
    {"resource": "blast-db", "meter": "volume_gib", "flavor": "", "credits": "12.5"},
    {"resource": "bastion", "meter": "vcpu", "flavor": "m1.tiny", "credits": "1.75"},
]
FORECAST = {
    "state": "ok",
    "needs_days": 0,
    "p10": "2026-03-12T04:00:00+00:00",
    "p50": "2026-03-16T17:00:00+00:00",
    "p90": "2026-03-24T09:00:00+00:00",
    "burn_per_day": "33.125000",
}
SHORT = {"state": "short", "needs_days": 3, "p10": None, "p50": None, "p90": None}
BEYOND = {"state": "beyond", "p10": "2027-10-03T00:00:00+00:00", "p50": None, "p90": None}
STATEMENT = [
    {"kind": "granted", "meter": None, "flavor": None, "credits": "1000.000000"},
    {"kind": "adjusted", "meter": None, "flavor": None, "credits": "-25.000000"},
    {"kind": "used", "meter": "ram_gib", "flavor": "m1.large", "credits": "-101.250000"},
    {"kind": "used", "meter": "vcpu", "flavor": "m1.large", "credits": "-400.650000"},
    {"kind": "corrected", "meter": "vcpu", "flavor": "m1.large", "credits": "25.000000"},
]
TALLY = {"kind": "tally", "meter": "vcpu", "flavor": "m1.large", "credits": "-1.500000"}


def tiding(
    *,
    kind: NoticeKind = NoticeKind.PERCENT,
    line: str | None = "50",
    value: str | None = None,
    balance: str = "498.1",
    granted: str = "1000",
    facts: dict[str, Any] | None = None,
    number: int = 1,
    project: str = "Genome lab",
    site: str = "",
    domain: str = "",
    external_id: str = "",
) -> Tiding:
    """Give a notice about a project."""
    return Tiding(
        Notice(
            id=NoticeId(number),
            project_id=number,
            kind=kind,
            line=None if line is None else Decimal(line),
            from_line=None,
            value=None if value is None else Decimal(value),
            balance=credits_of(balance),
            granted=credits_of(granted),
            created_at=CREATED_AT,
            facts=facts or {},
        ),
        Project(id=number, site=site, external_id=external_id, domain=domain, name=project),
    )


def mail_of(
    *tidings: Tiding,
    owner: str = "Ada",
    recipient: str = "ada@lab.example",
    language: str = "",
    is_digest: bool = False,
) -> DueMail:
    """Address notices to an owner."""
    return DueMail(
        id=MailId(1),
        channel=Channel.MAIL,
        recipient=recipient,
        recipient_name=owner,
        language=language,
        message_id="<4f3c2b1a-0000-4000-8000-123456789abc@cloud.example>",
        attempt_count=1,
        is_digest=is_digest,
        tidings=tidings,
    )


ALSO = [{"kind": "credits", "line": "500.000000"}, {"kind": "days", "line": "21.000"}]
SEVEN_DAYS = {"burned": BURNED, "forecast": FORECAST}
EXAMPLES: dict[str, Tiding] = {
    "percent": tiding(site="Gießen", value="49.81", facts=SEVEN_DAYS | {"also": ALSO}),
    "percent-low": tiding(
        line="20", balance="187.25", facts={"burned": BURNED[:2], "forecast": SHORT}
    ),
    "percent-none": tiding(line="0", balance="-12.5", facts=SEVEN_DAYS | {"forecast": None}),
    "credits": tiding(
        kind=NoticeKind.CREDITS,
        line="100",
        value="98.2",
        balance="98.2",
        granted="0",
        facts=SEVEN_DAYS | {"forecast": BEYOND},
    ),
    "days": tiding(kind=NoticeKind.DAYS, line="14", value="12.4", balance="512", facts=SEVEN_DAYS),
    "burn": tiding(
        kind=NoticeKind.BURN, line="30", value="33.125", balance="812.5", facts=SEVEN_DAYS
    ),
    "closed": tiding(
        kind=NoticeKind.CLOSED,
        line=None,
        value="0",
        balance="498.1",
        facts={"lines": STATEMENT, "after": [], "used_after": "0.000000"},
    ),
    "late-usage": tiding(
        kind=NoticeKind.LATE_USAGE,
        line=None,
        value="12.5",
        balance="485.6",
        facts={"after": [*STATEMENT[2:4], TALLY], "used_after": "12.500000"},
    ),
}


def digest(language: str = "") -> DueMail:
    """Give a digest of three notices about three projects."""
    return mail_of(
        replace(EXAMPLES["percent"], project=replace(EXAMPLES["percent"].project, name="Bio")),
        replace(EXAMPLES["days"], project=replace(EXAMPLES["days"].project, name="Plankton")),
        EXAMPLES["percent-none"],
        language=language,
        is_digest=True,
    )


def part_of(message: EmailMessage, subtype: str) -> str:
    """Give the text (plain) or the page (html) of a mail."""
    part = message.get_body((subtype,))
    assert part is not None
    return "\n".join(part.get_content().splitlines())


def write_all(folder: Path) -> list[Path]:
    """Write each kind in each language as text and as page; give the files."""
    written = []
    redirected = replace(LETTERHEAD, override="staging@cloud.example")
    for language in Language:
        mails = {name: mail_of(one, language=language) for name, one in EXAMPLES.items()}
        for name, mail, letterhead in [
            *((name, mail, LETTERHEAD) for name, mail in mails.items()),
            ("digest", digest(language), LETTERHEAD),
            ("redirected", mails["percent"], redirected),
        ]:
            message = render(mail, letterhead)
            for subtype, ending in (("plain", "txt"), ("html", "html")):
                written.append(folder / f"{name}.{language}.{ending}")
                written[-1].write_text(part_of(message, subtype), encoding="utf-8")
    return written


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    print(*write_all(target), sep="\n")  # noqa: T201 - talks to a person at a terminal
