"""Tables of people are read strictly, whatever wrote them; each mistake is named by its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import PersonChange, Role
from os_credits.errors import InvalidInput, TooLarge
from os_credits.flows import people_file
from os_credits.flows.people_file import NamedProject, Row, read_csv, read_rows


def problems_of(text: str) -> list[tuple[int, str]]:
    return [(one.line, one.field) for one in read_rows(read_csv(text.encode())).problems]


FULL = (
    "digest;project;site;domain;email;name;role;language;wants\n"
    "yes;p;s;d;ada@LAB.example;Ada;member;de;percent,closed\n"
)


@pytest.mark.parametrize(
    "content",
    [
        FULL.encode(),
        b"\xef\xbb\xbf" + FULL.encode(),
        FULL.replace("\n", "\r\n").encode(),
        FULL.replace(",", "|").replace(";", ",").encode(),
        FULL.upper().split("\n")[0].encode() + b"\n" + FULL.split("\n")[1].encode(),
        ("\n" + FULL + "\n;;;\n").encode(),
        FULL.replace("Ada;", '"Ada";').encode(),
    ],
)
def test_a_table_is_read_whatever_wrote_it(content: bytes) -> None:
    read = read_rows(read_csv(content))

    assert read.problems == []
    [row] = read.rows
    assert row.project == NamedProject("p", "s", "d")
    assert row.change == PersonChange(
        "ada@lab.example",
        {
            "digest": True,
            "name": "Ada",
            "role": Role.MEMBER,
            "language": "de",
            "wants": (NoticeKind.PERCENT, NoticeKind.CLOSED),
        },
    )


def test_what_has_no_column_is_not_said() -> None:
    [row] = read_rows(read_csv(b"email,project\na@b.example,p\n")).rows

    assert row.project == NamedProject("p", None, None)
    assert row.change == PersonChange("a@b.example", {})


def test_every_mistake_is_named_by_line_and_field() -> None:
    text = (
        "project,email,role,language,wants,digest,name\n"
        "p,no address,boss,fr,gossip,perhaps,\x1b\n"
        ",a@b.example,,,,,\n"
        'p,a@b.example,,,,,"two\nlines"\n'
        "p,A@b.example,,,,,\n"
        "p,a@B.example,,,,,\n"
        "p,a@b.example\n"
        "p,b@b.example,,,,,\0\n"
        f"p,c@b.example,,,,,{'n' * 1025}\n"
    )

    assert problems_of(text) == [
        (2, "email"), (2, "role"), (2, "language"), (2, "wants"), (2, "digest"), (2, "name"),
        (3, "project"), (4, "name"), (7, "email"), (8, "row"), (9, "name"), (10, "name"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content,place,message",
    [
        (b"", "line 1", "needs a first line"),
        (b"\n \n", "line 1", "needs a first line"),
        (b"email,name\n", "line 1", "lacks the column project"),
        (b"project,email,email\n", "line 1", "names the column email twice"),
        (b"project,email,colour,\x1b[2J\n", "line 1", r"'colour', '\\x1b[2j' is none"),
        (b"project\temail\np\ta@b.example\n", "line 1", "is none of the columns"),
        (b"project,email\n\np,\xff\n", "line 3", "is not written in UTF-8"),
        ("project,email\n".encode("utf-16"), "line 1", "is not written in UTF-8"),
        (b'project,email\np,a@b.example\n"p,a@b.example\n', "line 3", "is no CSV"),
        (b'project,email\n"p"x,a@b.example\n', "line 2", "is no CSV"),
        (b"project,email\np," + b"a" * 200_000, "line 2", "is no CSV"),
    ],
)
def test_what_is_no_such_table_is_refused(content: bytes, place: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_csv(content)

    assert caught.value.where == place
    assert message in caught.value.message


def test_a_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_file, "ROWS_MAX", 2)
    read_csv(b"project,email\n1,1\n2,2\n")

    with pytest.raises(TooLarge, match="at most 2 rows"):
        read_csv(b"project,email\n1,1\n2,2\n3,3\n")


def test_a_formula_is_a_name_like_any_other() -> None:
    [row] = read_rows([Row(1, {"project": "=1+1", "email": "a@b.example", "name": "=A1"})]).rows

    assert (row.project.name, row.change.fields["name"]) == ("=1+1", "=A1")


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8")))
def test_no_content_leads_to_anything_but_rows_or_a_refusal(content: bytes) -> None:
    for head in (b"", b"project,email,name,wants\n"):
        try:
            rows = read_csv(head + content)
        except InvalidInput:
            continue
        read = read_rows(rows)
        assert len({one.line for one in read.problems} | {one.line for one in read.rows}) == len(
            rows
        )
