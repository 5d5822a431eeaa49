"""What a reader is given, judged: each function gives the ways in which a stored text acted."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.payloads import acting_signs

# What an answer's head may name; anything else was smuggled in.
HEADERS = frozenset(
    {
        "Allow",
        "Cache-Control",
        "Connection",
        "Content-Disposition",
        "Content-Length",
        "Content-Security-Policy",
        "Content-Type",
        "Date",
        "Etag",
        "Last-Modified",
        "Location",
        "Link",
        "Referrer-Policy",
        "Request-Id",
        "Retry-After",
        "Server",
        "Vary",
        "Www-Authenticate",
        "X-Content-Type-Options",
        "X-Influxdb-Error",
        "X-Next",
        "X-Influxdb-Version",
        "X-Request-Id",
        "X-Prometheus-Remote-Write-Samples-Written",
        "X-Prometheus-Remote-Write-Histograms-Written",
        "X-Prometheus-Remote-Write-Exemplars-Written",
        "X-Influxdb-Build",
    }
)
MAIL_HEADERS = Counter(
    [
        *("Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted"),
        *("Content-Language", "MIME-Version", "Content-Type"),
    ]
)
_LINE = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \[(debug|info|warning|error) *\] ")
# Of templates: names break after underscores, so that these are as many as those.
_BREAK = "wbr"


class Page(HTMLParser):
    """The elements of a page, with the names of their attributes, its addresses and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.words = ""
        self.title = ""
        self._within = ""
        self.remarks = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self._within = tag
        if tag != _BREAK:
            self.elements.append((tag, *(name for name, _ in attrs)))
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("href", "src") if name in values]
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself."""
        self.handle_starttag(tag, attrs)
        self._within = ""

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or title."""
        self._within = ""

    def handle_data(self, data: str) -> None:
        """Note what is read, or run."""
        if self._within == "script":
            self.scripts[-1] += data
        elif self._within == "title":
            self.title += data
        else:
            self.words += data

    def handle_comment(self, data: str) -> None:
        """Count what no template of ours writes."""
        self.remarks += 1


def in_headers(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Judge an answer's head: no header that is not ours, none that cannot be printed."""
    return [
        f"header {name}: {value!r}"
        for name, value in headers
        if name.title() not in HEADERS or not value.isascii() or not value.isprintable()
    ]


def in_json(text: str) -> list[str]:
    """Judge JSON: it can be read, and holds nothing raw that acts on a terminal or in a page."""
    try:
        json.loads(text)
    except ValueError as error:
        return [f"no JSON: {error}"]
    return [f"raw {sign!r}" for sign in acting_signs(text)] + _joiners(text)


def _joiners(text: str) -> list[str]:
    return [f"raw {sign!r}" for sign in "\u200c\u200d" if sign in text]


def in_csv(text: str) -> list[str]:
    """Judge a table for spreadsheets: each row has as many cells, and none is a formula."""
    head, *rows = csv.reader(text.splitlines(keepends=True), strict=True)
    hits = [f"sign {sign!r}" for sign in acting_signs(text.replace("\r\n", "\n"))]
    hits += [f"row {row}" for row in rows if len(row) != len(head)]
    cells = [cell for row in rows for cell in row]
    return hits + [
        f"formula {cell!r}"
        for cell in cells
        if re.match(r"[=+\-@\t\r\n]", cell) and not re.fullmatch(r"-?\d+(\.\d+)?", cell)
    ]


def in_page(text: str, like: Page, known: Sequence[Page] = ()) -> list[str]:
    """Judge a page: made of the same elements as a harmless one, with no foreign address.

    Where harmless pages are `known`, it is enough that its elements are of the kinds of theirs.
    """
    page = Page(text)
    hits = [f"sign {sign!r}" for sign in acting_signs(text)]
    if known:
        kinds = {element for one in known for element in one.elements}
        hits += [f"element {one}" for one in page.elements if one not in kinds]
    elif page.elements != like.elements:
        more = Counter(page.elements) - Counter(like.elements)
        hits.append(f"elements {more or 'in another order, or fewer'}")
    hits += [f"address {one}" for one in page.addresses if not re.match(r"/(?!/)|\?|#|\.\./", one)]
    hits += [f"script {one[:80]}" for one in page.scripts if one and not _is_json(one)]
    return hits + ["comment"] * page.remarks


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return not re.search("[<>&]", text)


def in_metrics(text: str, names: Iterable[str] = ()) -> list[str]:
    """Judge figures for Prometheus: only series of ours, and no label that a sender wrote."""
    read = openmetrics if text.endswith("# EOF\n") else text_string_to_metric_families
    samples = [sample for family in read(text) for sample in family.samples]
    assert samples
    return [
        f"series {sample.name}{sample.labels}"
        for sample in samples
        if not sample.name.startswith("os_credits_")
        or not all(re.fullmatch(r"[\w/{}.+()-]*", value) for value in sample.labels.values())
    ] + [f"name {name}" for name in names if name in text]


def in_json_log(text: str) -> list[str]:
    """Judge a log for machines: each line is an event of ours."""
    hits = []
    for line in text.splitlines():
        try:
            event: dict[str, Any] = json.loads(line)
        except ValueError:
            hits.append(f"no event: {line!r}")
            continue
        if not line.isprintable() or "owned" in (event["event"], event["level"]):
            hits.append(f"forged: {line!r}")
    return hits


def in_console_log(text: str) -> list[str]:
    """Judge a log for people: each line begins an event, or stands back as part of one."""
    return [
        repr(line)
        for line in re.split("[\n\r]", text.removesuffix("\n"))
        if acting_signs(line)
        or not (_LINE.match(line) or line.startswith("    "))
        or line.startswith("2026-01-01T00:00:00")
    ]


def in_terminal(text: str) -> list[str]:
    """Judge what a command prints."""
    return [f"sign {sign!r}" for sign in acting_signs(text)]


def in_mail(mail: EmailMessage, recipients: list[str], like: EmailMessage) -> list[str]:
    """Judge a mail: one recipient, the headers of a harmless one, and the same elements."""
    hits = [] if Counter(mail.keys()) == MAIL_HEADERS else [f"headers {mail.keys()}"]
    if [one.addr_spec for one in mail["To"].addresses] != recipients or len(recipients) != 1:
        hits.append(f"recipients {recipients} {mail['To']}")
    hits += [
        f"header {name}: {value!r}"
        for name, value in mail.items()
        if acting_signs(str(value)) or "\n" in str(value)
    ]
    parts = [part.get_content_type() for part in mail.walk()]
    if parts != [part.get_content_type() for part in like.walk()]:
        hits.append(f"parts {parts}")
    if any(part.defects for part in mail.walk()):
        hits.append("defects")
    text, page = (_part(mail, kind) for kind in ("plain", "html"))
    hits += [f"sign {sign!r}" for sign in acting_signs(text + page)]
    if len(text.splitlines()) != len(_part(like, "plain").splitlines()):
        hits.append("lines")
    shown, expected = (Page(one) for one in (page, _part(like, "html")))
    if _ours(shown) != _ours(expected):
        hits.append(f"elements {shown.elements}")
    hits += [
        f"address {one}"
        for one in shown.addresses
        if not re.match("https://credits.cloud.example/(credits_history|password)/", one)
    ]
    return hits


def _ours(page: Page) -> list[tuple[str, ...]]:
    """Give a mail's elements, but for those that isolate a name, where there is one."""
    return [one for one in page.elements if one != ("bdi",)]


def _part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
