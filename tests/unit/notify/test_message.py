"""What a mail says, and what hostile names cannot make it say."""

import email
from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import parseaddr
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from os_credits.domain.amount import credits_of
from os_credits.domain.notice import DueMail, MailId, Notice, NoticeId, mail_address
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput, Misconfigured
from os_credits.notify.headers import one_line
from os_credits.notify.message import Letterhead, render, shown_credits

HEADERS = Counter(
    [
        *("Subject", "From", "To", "Cc", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    ]
)
LETTERHEAD = Letterhead(
    sender="Cloud credits <credits@cloud.example>",
    copies=("desk@cloud.example", "audit@cloud.example"),
    public_url="https://credits.cloud.example/",
)
HOSTILE_NAMES = [
    "x\r\nBcc: thief@evil.example",
    "x\nSubject: other\n\nbody",
    "x\r\n.\r\nMAIL FROM:<a@evil.example>",
    "x\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029Bcc: thief@evil.example",
    "=?utf-8?q?x=0D=0ABcc:_thief@evil.example?=",
    "thief@evil.example, other@evil.example",
    "Ann <thief@evil.example>,",
    'a" <thief@evil.example>, "b',
    "a;b:c,d(e)f[g]\\",
    "Zoë, Ünal (thief@evil.example); " * 4,
    "\u202eelpmaxe.live@feiht\u202c \x00\x7f\x1b[31m",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "ä" * 300,
    "a" * 300,
    ",é" * 150,
    "",
    "   ",
]


def due_mail(
    *,
    percent: str = "50.000",
    balance: str = "498.1",
    project: str = "Genome lab",
    owner: str = "Ada",
    recipient: str = "ada@lab.example",
    site: str = "",
    domain: str = "",
    external_id: str = "",
) -> DueMail:
    return DueMail(
        id=MailId(1),
        recipient=recipient,
        recipient_name=owner,
        message_id="<4f3c2b1a-0000-4000-8000-123456789abc@cloud.example>",
        attempt_count=1,
        notice=Notice(
            id=NoticeId(1),
            project_id=1,
            percent=Decimal(percent),
            balance=credits_of(balance),
            granted=credits_of("1000"),
            created_at=datetime(2026, 3, 1, 13, 5, tzinfo=timezone(timedelta(hours=1))),
        ),
        project=Project(id=1, site=site, external_id=external_id, domain=domain, name=project),
    )


def received(mail: DueMail, letterhead: Letterhead = LETTERHEAD) -> EmailMessage:
    """Send the mail through bytes, as a mail program will read it."""
    sent = render(mail, letterhead).as_bytes()
    assert sent.isascii()
    assert max(map(len, sent.split(b"\r\n"))) <= 200
    return email.message_from_bytes(sent, policy=default)


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return "\n".join(part.get_content().splitlines())


def raw_header(name: str, message: EmailMessage) -> str:
    """Give a header unfolded but not decoded."""
    raw = email.message_from_bytes(message.as_bytes(), policy=compat32)[name]
    return "".join(str(raw).splitlines())


def text_in(header: str, message: EmailMessage) -> str:
    """Decode a header by RFC 2047; Python 3.11's newer parser adds blanks."""
    return str(make_header(decode_header(raw_header(header, message))))


def name_in(header: str, message: EmailMessage) -> str:
    """Decode the name that stands before an address."""
    name, _ = parseaddr(raw_header(header, message))
    return str(make_header(decode_header(name)))


def html_of(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize(
    "percent,balance,subject",
    [
        ("50", "498.1", "Project Genome lab has used half of its credits: 498.1 of 1,000 left"),
        ("20", "200", "Project Genome lab has 20 % or less of its credits left: 200 of 1,000 left"),
        ("0.500", "3", "Project Genome lab has 0.5 % or less of its credits left: 3 of 1,000 left"),
        ("0.000", "0", "Project Genome lab has used all of its credits"),
        ("0.000", "-12.5", "Project Genome lab has used all of its credits: 12.5 below zero"),
        ("0.000", "-0.000001", "Project Genome lab has used all of its credits"),
    ],
)
def test_the_subject_says_what_happened(percent: str, balance: str, subject: str) -> None:
    message = received(due_mail(percent=percent, balance=balance))

    assert subject == text_in("Subject", message)
    assert f"{subject}." in text_of(message)
    assert f"{subject}." in html_of(message)


def test_text_and_html_tell_the_same_facts() -> None:
    message = received(due_mail(site="Gießen", domain="bio", project="Genome lab"))

    for body in (text_of(message), html_of(message)):
        for fact in ("Hello Ada", "498.1 credits", "1,000 credits", "2026-03-01 12:05 UTC"):
            assert fact in body
        told = body.replace("<bdi>", "").replace("</bdi>", "")
        assert "Genome lab, domain bio, at Gießen" in told
    assert "multipart/alternative" == message.get_content_type()
    assert "Sun, 01 Mar 2026 12:05:00 +0000" == message["Date"]
    assert "<4f3c2b1a-0000-4000-8000-123456789abc@cloud.example>" == message["Message-ID"]
    assert "auto-generated" == message["Auto-Submitted"]


@pytest.mark.parametrize(
    "mail,link",
    [
        (due_mail(project="a/b c?&é"), "/credits_history/a%2Fb%20c%3F%26%C3%A9"),
        (due_mail(project="a", site="x y"), "/credits_history/a?site=x+y"),
        (due_mail(project="a", domain="d"), "/credits_history/a?domain=d"),
        (due_mail(project="a", external_id="f00", domain="d"), "/credits_history/f00"),
    ],
)
def test_the_link_names_the_project_and_is_quoted(mail: DueMail, link: str) -> None:
    message = received(mail)

    assert f"\nhttps://credits.cloud.example{link}\n" in text_of(message)
    assert f'<a href="https://credits.cloud.example{link}"' in html_of(message)


def test_without_a_public_url_there_is_no_link() -> None:
    message = received(due_mail(), Letterhead(sender="credits@cloud.example"))

    assert "http" not in text_of(message)
    assert "href" not in html_of(message)


@pytest.mark.parametrize(
    "amount,precision,shown",
    [
        ("1234567.891", 2, "1,234,567.89"),
        ("1000", 2, "1,000"),
        ("1000", 0, "1,000"),
        ("0.100000", 6, "0.1"),
        ("-0.004", 2, "0"),
        ("-1500.5", 1, "-1,500.5"),
        ("99999999999999999999.999999", 6, "99,999,999,999,999,999,999.999999"),
    ],
)
def test_amounts_are_shown_for_people(amount: str, precision: int, shown: str) -> None:
    assert shown == shown_credits(Decimal(amount), precision)


class Tags(HTMLParser):
    """Counts the elements of a page, but for those that only isolate a name, where there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += tag != "bdi"


def tags_of(message: EmailMessage) -> Counter[str]:
    tags = Tags()
    tags.feed(html_of(message))
    return tags.seen


def assert_nothing_is_smuggled(name: str) -> None:
    plain = received(due_mail(project="p", owner="o", site="s", domain="d"))
    message = received(due_mail(project=name, owner=name, site=name or "s", domain=name or "d"))

    assert HEADERS == Counter(message.keys())
    assert ["ada@lab.example"] == [a.addr_spec for a in message["To"].addresses]
    assert ["credits@cloud.example"] == [a.addr_spec for a in message["From"].addresses]
    assert list(LETTERHEAD.copies) == [a.addr_spec for a in message["Cc"].addresses]
    assert one_line(name) == name_in("To", message)
    assert 1 == len(message["Subject"].splitlines())
    assert one_line(name) in text_in("Subject", message)
    assert tags_of(plain) == tags_of(message)
    assert ["text/plain", "text/html"] == [p.get_content_type() for p in message.iter_parts()]
    assert not any(part.defects for part in message.walk())


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_adds_no_header_recipient_or_element(name: str) -> None:
    assert_nothing_is_smuggled(name)


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet='aé,;:"<>@()[]\\ =?\r\n.', max_size=200))
def test_no_name_adds_a_header_recipient_or_element(name: str) -> None:
    assert_nothing_is_smuggled(name)


def text_survives(line: str) -> bool:
    return line == line.encode().decode()


@settings(deadline=None)
@given(st.text(max_size=200))
@example("\ud800")
def test_a_name_becomes_one_short_line_that_any_charset_can_carry(text: str) -> None:
    line = one_line(text)

    assert len(line) <= 80
    assert len(line.splitlines()) <= 1
    assert text_survives(line)


@pytest.mark.parametrize(
    "text,address",
    [
        ("ada@lab.example", "ada@lab.example"),
        ("Ada.L+x@LAB.Example", "Ada.L+x@lab.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("os_credits@localhost", "os_credits@localhost"),
    ],
)
def test_an_address_is_kept_with_its_domain_in_ascii(text: str, address: str) -> None:
    assert address == mail_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@lab.example",
        "ada@",
        "a@b@c",
        "ada@lab.example\r\nRCPT TO:<x@evil.example>",
        "ada@lab.example ",
        "ada@lab.example,x@evil.example",
        "<ada@lab.example>",
        '"a b"@lab.example',
        "Ada <ada@lab.example>",
        "ädä@lab.example",
        "ada@lab..example",
        "ada@-lab.example",
        "ada@[127.0.0.1]",
        ".ada@lab.example",
        "a" * 65 + "@lab.example",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 126 + "example",
    ],
)
def test_what_is_not_one_plain_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        mail_address(text)
    with pytest.raises(InvalidInput):
        render(due_mail(recipient=text), LETTERHEAD)


@pytest.mark.parametrize(
    "sender,copies",
    [
        ("nobody", ()),
        ("", ()),
        ("a@x.example\r\nBcc: b@x.example", ()),
        ("a@x.example", ("b@x.example, c@x.example",)),
    ],
)
def test_a_wrong_sender_or_copy_is_found_at_the_start(sender: str, copies: tuple[str, ...]) -> None:
    with pytest.raises(Misconfigured):
        Letterhead(sender=sender, copies=copies)


def test_a_sender_may_have_a_name() -> None:
    letterhead = Letterhead(sender="Härtefälle, Büro <credits@cloud.example>")

    message = received(due_mail(), letterhead)

    assert "Härtefälle, Büro" == name_in("From", message)
    assert ["credits@cloud.example"] == [a.addr_spec for a in message["From"].addresses]
    assert "cloud.example" == letterhead.domain


def test_who_is_the_recipient_gets_no_copy() -> None:
    message = received(due_mail(recipient="desk@cloud.example"))

    assert ["audit@cloud.example"] == [a.addr_spec for a in message["Cc"].addresses]


def test_a_long_message_id_stays_as_it_is() -> None:
    mail = due_mail()
    long_id = f"<{'4f3c2b1a-' * 4}@{'credits.' * 12}example>"
    long_mail = DueMail(
        mail.id, mail.recipient, mail.recipient_name, long_id, 1, mail.notice, mail.project
    )

    assert f"Message-ID: {long_id}\r\n".encode() in render(long_mail, LETTERHEAD).as_bytes()
