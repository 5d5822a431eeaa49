"""What a mail says, and what hostile names cannot make it say."""

import email
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import parseaddr
from functools import cache
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from os_credits.domain.closing import StatementKind
from os_credits.domain.mail import DueMail, Language, mail_address
from os_credits.domain.notice import NoticeKind
from os_credits.errors import InvalidInput, Misconfigured
from os_credits.notify.content import ITEMS_MAX
from os_credits.notify.figures import shown_credits
from os_credits.notify.headers import one_line
from os_credits.notify.message import Letterhead, render
from tests.unit.notify.example_mails import (
    BURNED,
    EXAMPLES,
    LETTERHEAD,
    digest,
    mail_of,
    part_of,
    tiding,
)

HEADERS = Counter(
    [
        *("Subject", "From", "To", "Cc", "Date", "Message-ID", "Auto-Submitted"),
        *("Content-Language", "MIME-Version", "Content-Type"),
    ]
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
    owner: str = "Ada",
    recipient: str = "ada@lab.example",
    **place: str,
) -> DueMail:
    one = tiding(line=percent, balance=balance, **place)  # type: ignore[arg-type]
    return mail_of(one, owner=owner, recipient=recipient)


def received(mail: DueMail, letterhead: Letterhead = LETTERHEAD) -> EmailMessage:
    """Send the mail through bytes, as a mail program will read it."""
    sent = render(mail, letterhead).as_bytes()
    assert sent.isascii()
    assert max(map(len, sent.split(b"\r\n"))) <= 200
    return email.message_from_bytes(sent, policy=default)


def text_of(message: EmailMessage) -> str:
    return part_of(message, "plain")


def html_of(message: EmailMessage) -> str:
    return unescape(part_of(message, "html"))


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
    assert f"<bdi>{subject}</bdi>" in html_of(message)


def test_text_and_html_tell_the_same_facts() -> None:
    message = received(due_mail(site="Gießen", domain="bio", project="Genome lab"))

    for body in (text_of(message), html_of(message)):
        for fact in ("498.1 credits", "1,000 credits", "1 March 2026, 12:05 UTC", "bio", "Gießen"):
            assert fact in body
        assert "Hello Ada," in body
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
    assert f'href="https://credits.cloud.example{link}"' in html_of(message)


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
    tags.feed(part_of(message, "html"))
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
    long_id = f"<{'4f3c2b1a-' * 4}@{'credits.' * 12}example>"
    long_mail = replace(due_mail(), message_id=long_id)

    assert f"Message-ID: {long_id}\r\n".encode() in render(long_mail, LETTERHEAD).as_bytes()


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_kind_tells_its_facts_in_each_language(kind: str, language: Language) -> None:
    message = received(mail_of(EXAMPLES[kind], language=language))
    text, page = text_of(message), html_of(message)

    assert language == message["Content-Language"]
    assert f'<html lang="{language}">' in page
    for body in (text, page):
        assert "Genome lab" in body
        assert "credits_history/Genome%20lab" in body
        for each in EXAMPLES[kind].notice.facts.get("burned", []):
            assert each["resource"] in body
    # One form for both: whatever the text says, the page says, too.
    without_tags = unescape(re.sub(r"<[^>]*>", " ", part_of(message, "html")))
    shown = " ".join(f"{page} {without_tags}".split())
    for line in text.replace("-- ", "").splitlines():
        for words in filter(None, re.split(r"\s{2,}|:$|:\s", line.strip().rstrip("."))):
            assert words.rstrip(":") in shown, words


def test_no_page_loads_anything() -> None:
    for mail in (*map(mail_of, EXAMPLES.values()), digest()):
        page = part_of(received(mail), "html")

        assert re.findall(r"(?i)<(?:img|script|link|iframe)|url\(|src=|@import", page) == []


@pytest.mark.parametrize(
    "kind,english,german",
    [
        ("credits", "has 98.2 credits left", "hat noch 98,2 Credits"),
        ("days", "will run out of credits in about 12 days", "in etwa 12 Tagen keine Credits mehr"),
        ("burn", "uses 33.12 credits a day", "verbraucht 33,12 Credits am Tag"),
        ("closed", "is closed: its final statement", "ist geschlossen: abschließende Übersicht"),
        ("late-usage", "was charged 12.5 credits afterwards", "danach wurden noch 12,5 Credits"),
        ("percent-low", "20 % or less of its credits left", "höchstens noch 20 % seiner Credits"),
    ],
)
def test_the_subject_of_each_kind(kind: str, english: str, german: str) -> None:
    subjects = [
        text_in("Subject", received(mail_of(EXAMPLES[kind], language=language)))
        for language in ("en", "de")
    ]

    assert english in subjects[0]
    assert german in subjects[1]


@pytest.mark.parametrize(
    "forecast,sentence",
    [
        (
            {"state": "ok", "p10": "2026-03-12", "p50": "2026-03-16", "p90": "2026-03-24"},
            (
                "At the present rhythm credits run out around 16 March 2026, in 8 of 10 cases "
                "between 12 March 2026 and 24 March 2026."
            ),
        ),
        (
            {"state": "ok", "p10": "2026-03-12", "p50": "2026-03-16", "p90": None},
            (
                "At the present rhythm credits run out around 16 March 2026, hardly before "
                "12 March 2026."
            ),
        ),
        (
            {"state": "ok", "p10": "2026-03-16", "p50": "2026-03-16T08", "p90": "2026-03-16T09"},
            "At the present rhythm credits run out around 16 March 2026.",
        ),
        (
            {"state": "short", "needs_days": 3},
            "It is too early to tell when credits run out: that needs 3 more days of usage.",
        ),
        (
            {"state": "short", "needs_days": 1},
            "It is too early to tell when credits run out: that needs 1 more day of usage.",
        ),
        (
            {"state": "idle"},
            "Nothing was used in the last week, so there is no telling when credits run out.",
        ),
        (
            {"state": "beyond", "p10": "2027-10-03"},
            (
                "At the present rhythm credits probably last longer than two years, and hardly run "
                "out before 3 October 2027."
            ),
        ),
    ],
)
def test_the_forecast_is_told_as_it_is(forecast: dict[str, object], sentence: str) -> None:
    text = text_of(received(mail_of(tiding(facts={"forecast": forecast}))))

    assert f"\n\n{sentence}\n\n" in re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def test_where_nothing_is_left_no_date_is_told_on_which_it_will_be_gone() -> None:
    forecast = {"state": "ok", "p10": "2026-03-12", "p50": "2026-03-16", "p90": "2026-03-24"}
    text = text_of(received(mail_of(tiding(balance="-26", facts={"forecast": forecast}))))

    assert "run out around" not in text


@pytest.mark.parametrize(
    "language,sentence",
    [
        ("en", "When the credits run out cannot be told yet."),
        ("de", "Wann die Credits verbraucht sind, lässt sich noch nicht sagen."),
    ],
)
def test_without_a_forecast_the_mail_says_so_where_something_is_left(
    language: str, sentence: str
) -> None:
    def says_so(kind: NoticeKind, balance: str = "498.1", **facts: object) -> bool:
        one = tiding(kind=kind, value="12", balance=balance, facts=facts)
        message = received(mail_of(one, language=language))
        [in_text, in_page] = [sentence in body for body in (text_of(message), html_of(message))]
        assert in_text == in_page
        return in_text

    foretold = {NoticeKind.PERCENT, NoticeKind.CREDITS, NoticeKind.BURN}
    for facts in ({}, {"forecast": None}, {"forecast": {"state": "of another version"}}):
        assert foretold == {kind for kind in NoticeKind if says_so(kind, **facts)}
    for balance in ("0", "0.000001", "-26"):
        assert not any(says_so(kind, balance) for kind in NoticeKind)
    for state in ("short", "idle", "beyond"):
        assert not says_so(NoticeKind.PERCENT, forecast={"state": state})


ALSO = [
    {"kind": "percent", "line": "90.000"},
    {"kind": "credits", "line": "1500.000000"},
    {"kind": "days", "line": "14.000"},
    {"kind": "burn", "line": "30.500000"},
]


@pytest.mark.parametrize(
    "language,label,value",
    [
        (
            "en",
            "Also",
            (
                "at 90 % of what was granted; at 1,500 credits; 14 days before credits run out; "
                "from 30.5 credits a day on"
            ),
        ),
        (
            "de",
            "Außerdem",
            (
                "bei 90 % der bewilligten Credits; bei 1.500 Credits; 14 Tage, bevor die Credits "
                "verbraucht sind; ab 30,5 Credits am Tag"
            ),
        ),
    ],
)
def test_other_lines_that_the_same_notice_told_are_named(
    language: str, label: str, value: str
) -> None:
    # What is told already, and what is named twice, is not told again.
    also = [*ALSO, ALSO[0], {"kind": "percent", "line": "50.000"}]
    message = received(mail_of(tiding(facts={"also": also}), language=language))

    assert re.search(rf"^  {label}: +{re.escape(value)}$", text_of(message), re.MULTILINE)
    assert f"<bdi>{value}</bdi>" in html_of(message)


def test_of_very_many_other_lines_a_few_are_named() -> None:
    also = [{"kind": "percent", "line": str(line)} for line in range(99, 90, -1)]
    text = text_of(received(mail_of(tiding(facts={"also": also}))))

    assert "at 95 % of what was granted; and 4 more\n" in text
    assert "at 94 %" not in text


@pytest.mark.parametrize(
    "language,heading,subject",
    [
        ("en", "Changes since the project was closed", "was charged 12.5 credits afterwards"),
        ("de", "Änderungen, seit das Projekt geschlossen ist", "noch 12,5 Credits berechnet"),
    ],
)
def test_late_usage_that_is_not_booked_yet_is_not_called_booked(
    language: str, heading: str, subject: str
) -> None:
    tally = {"kind": "tally", "meter": "vcpu", "flavor": None, "credits": "-12.500000"}
    late = replace(EXAMPLES["late-usage"].notice, facts={"after": [tally]})
    message = received(mail_of(replace(EXAMPLES["late-usage"], notice=late), language=language))

    assert subject in text_in("Subject", message)
    assert f"\n{heading}:\n" in text_of(message)
    assert f">{heading}<" in html_of(message)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", StatementKind)
def test_each_line_of_a_statement_has_a_word(kind: StatementKind, language: Language) -> None:
    line = {"kind": kind.value, "meter": None, "flavor": None, "credits": "-7.000000"}
    closed = tiding(kind=NoticeKind.CLOSED, line=None, facts={"lines": [line]})
    text = text_of(received(mail_of(closed, language=language)))

    [word] = re.findall(r"^ +-7 [Cc]redits  (.+)$", text, re.MULTILINE)
    assert word != kind.value


@pytest.mark.parametrize(
    "facts",
    [
        {"burned": None, "forecast": None},
        {"burned": "much", "forecast": "soon"},
        {"burned": [None, 1, {}, {"credits": "NaN"}, {"credits": "x"}, {"credits": [1]}]},
        {"forecast": {"state": 1, "needs_days": "x", "p10": 3, "p50": "never", "p90": []}},
        {"forecast": {"state": "ok"}, "lines": [{}], "what": {"is": "this"}},
        {"also": "percent 20"},
        {"also": {"kind": "percent", "line": "20"}},
        {"also": [None, 7, "x", [], {}, {"kind": "days"}, {"line": "3"}]},
        {
            "also": [
                {"kind": None, "line": "3"},
                {"kind": 7, "line": "3"},
                {"kind": [], "line": "3"},
            ]
        },
        {"also": [{"kind": "closed", "line": "3"}, {"kind": "of tomorrow", "line": "3"}]},
        {"also": [{"kind": "days", "line": line} for line in (None, 0.5, "x", "NaN", "Infinity")]},
        {"also": [{"kind": "days", "line": line} for line in ("-1", "1e99", "1e999999", [3])]},
        {"also": [{"kind": "percent", "line": "50.000"}]},
    ],
)
def test_facts_of_another_version_are_left_out(facts: dict[str, object]) -> None:
    plain = text_of(received(mail_of(tiding())))

    assert plain == text_of(received(mail_of(tiding(facts=facts))))


def test_a_digest_tells_of_all_the_gravest_first() -> None:
    message = received(digest())
    text = text_of(message)

    assert (
        "3 notices about credits. Project Genome lab has used all of its credits: "
        "12.5 below zero" == text_in("Subject", message)
    )
    places = [text.index(f"Project {name} ") for name in ("Genome lab", "Bio", "Plankton")]
    assert sorted(places) == places
    assert "there are 3 notices about credits since your last digest" in text
    assert 3 * 3 == sum(text.count(each["resource"]) for each in BURNED)


def test_a_digest_of_very_many_notices_stays_readable() -> None:
    many = [tiding(number=number, project=f"P{number}") for number in range(1, ITEMS_MAX + 8)]
    message = received(mail_of(*many, is_digest=True))

    for body in (text_of(message), html_of(message)):
        assert "There are 7 more notices, which the pages of your projects show." in body
        assert ITEMS_MAX == body.count("/credits_history/P")
    assert f"{ITEMS_MAX + 7} notices about credits." in text_in("Subject", message)


def test_a_digest_of_one_notice_has_its_subject() -> None:
    message = received(mail_of(EXAMPLES["days"], is_digest=True))

    assert "Project Genome lab will run out of credits in about 12 days" == message["Subject"]
    assert "there is one notice" in text_of(message)


def test_a_redirected_mail_goes_nowhere_else_and_says_for_whom_it_was() -> None:
    mail = due_mail(owner="Jörg Groß")
    message = received(mail, replace(LETTERHEAD, override="staging@cloud.example"))

    assert ["staging@cloud.example"] == [a.addr_spec for a in message["To"].addresses]
    assert HEADERS - Counter(["Cc"]) + Counter(["X-Intended-Recipient"]) == Counter(message.keys())
    assert text_in("Subject", message).startswith("[redirected] Project Genome lab")
    intended = text_in("X-Intended-Recipient", message)
    assert "Jörg Groß <ada@lab.example>, desk@cloud.example, audit@cloud.example" == intended
    for body in (text_of(message), html_of(message)):
        assert "Jörg Groß <ada@lab.example>, desk@cloud.example" in " ".join(body.split())


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_redirected_hostile_name_reaches_nobody_else(name: str) -> None:
    letterhead = replace(LETTERHEAD, override="staging@cloud.example")
    message = received(due_mail(owner=name, project=name), letterhead)

    assert HEADERS - Counter(["Cc"]) + Counter(["X-Intended-Recipient"]) == Counter(message.keys())
    assert ["staging@cloud.example"] == [a.addr_spec for a in message["To"].addresses]
    assert 1 == len(message["X-Intended-Recipient"].splitlines())
    # Python puts blanks where plain words were folded.
    intended = "".join(text_in("X-Intended-Recipient", message).split())
    assert "".join(one_line(name).split()) in intended


def told_facts(text: str) -> dict[str, object]:
    """Give facts of which everything that is a text says this."""
    lines = [{"kind": text, "meter": text, "flavor": text, "credits": "1"}]
    burned = [{"resource": text or "x", "meter": text, "flavor": text, "credits": "1"}]
    forecast = {"state": text, "p50": text, "burn_per_day": text}
    also = [{"kind": text, "line": "20"}, {"kind": "percent", "line": text}]
    return {"burned": burned, "lines": lines, "forecast": forecast, "also": also, text: text}


@cache
def tags_of_harmless(kind: NoticeKind) -> Counter[str]:
    return tags_of(received(mail_of(tiding(kind=kind, facts=told_facts("harmless")))))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_facts_add_nothing_either(name: str) -> None:
    for kind in NoticeKind:
        message = received(mail_of(tiding(kind=kind, facts=told_facts(name)), language=name))

        assert HEADERS == Counter(message.keys())
        assert tags_of_harmless(kind) == tags_of(message)
        assert not any(part.defects for part in message.walk())


def test_a_language_that_nobody_knows_is_the_usual_one() -> None:
    german = replace(LETTERHEAD, language=Language.GERMAN)
    mails = [mail_of(tiding(), language=code) for code in ("", "xx", "de", "en")]

    languages = [received(mail, german)["Content-Language"] for mail in mails]

    assert ["de", "de", "de", "en"] == languages


def test_umlauts_arrive_in_the_subject_the_name_and_the_text() -> None:
    one = tiding(project="Größenmessung Überfluß")
    message = received(mail_of(one, owner="Jörg Müßig", language="de"))

    assert "Jörg Müßig" == name_in("To", message)
    assert "Projekt Größenmessung Überfluß hat die Hälfte" in text_in("Subject", message)
    assert "Guten Tag Jörg Müßig," in text_of(message)
