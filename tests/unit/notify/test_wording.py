"""Where templates come from, and what happens with broken ones."""

from dataclasses import replace
from pathlib import Path

import pytest

from os_credits.errors import MailDelayed, Misconfigured
from os_credits.notify.message import Letterhead, render
from os_credits.notify.wording import Wording
from tests.unit.notify.example_mails import EXAMPLES, LETTERHEAD, mail_of, part_of


def letterhead_with(folder: Path) -> Letterhead:
    return replace(LETTERHEAD, wording=Wording(folder))


def text_by(folder: Path, language: str = "en") -> str:
    mail = mail_of(EXAMPLES["percent"], language=language)
    return part_of(render(mail, letterhead_with(folder)), "plain")


def test_a_folder_replaces_single_words_and_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "en.jinja").write_text(
        "{% block greeting %}Dear {{ owner or 'all' }},{% endblock %}\n"
        "{% block why %}Questions: help@cloud.example{% endblock %}"
    )

    text = text_by(tmp_path)

    assert text.startswith("Dear Ada,\n\nProject Genome lab has used half of its credits")
    assert text.endswith("-- \nQuestions: help@cloud.example")
    assert "Guten Tag Ada," in text_by(tmp_path, "de")


def test_a_folder_replaces_a_form(tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text("{% for one in items %}{{ one.headline }}{% endfor %}")

    assert text_by(tmp_path) == (
        "Project Genome lab has used half of its credits: 498.1 of 1,000 left"
    )


def test_the_words_of_a_folder_are_escaped_in_the_page(tmp_path: Path) -> None:
    (tmp_path / "en.jinja").write_text("{% block why %}<b>{{ project }}</b>{% endblock %}")

    page = part_of(render(mail_of(EXAMPLES["percent"]), letterhead_with(tmp_path)), "html")

    assert "&lt;b&gt;Genome lab&lt;/b&gt;" in page


@pytest.mark.parametrize("name", ["en.jinja", "de.jinja", "mail.txt", "mail.html"])
@pytest.mark.parametrize("content", [b"one\n{% if %}", b"{{ 'open }}", b"\xff\xfe"])
def test_a_template_that_cannot_be_read_stops_the_start(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(Misconfigured, match=rf"^template {name}: "):
        Wording(tmp_path)


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="there is no folder"):
        Wording(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name,content",
    [
        ("en.jinja", "{% block greeting %}{{ nobody.knows }}{% endblock %}"),
        ("en.jinja", "{% block subject %}{{ 1 / 0 }}{% endblock %}"),
        ("mail.html", "{{ unheard_of }}"),
        ("mail.txt", "{% include 'nothing' %}"),
    ],
)
def test_a_template_that_fails_later_delays_the_mail(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(MailDelayed, match=f"^template {name}"):
        text_by(tmp_path)


def test_a_template_that_is_put_right_counts_from_the_next_mail_on(tmp_path: Path) -> None:
    path = tmp_path / "mail.txt"
    path.write_text("{{ unheard_of }}")
    letterhead = letterhead_with(tmp_path)
    with pytest.raises(MailDelayed):
        render(mail_of(EXAMPLES["percent"]), letterhead)

    path.write_text("It works, {{ greeting }}")

    assert "It works, Hello Ada," == part_of(
        render(mail_of(EXAMPLES["percent"]), letterhead), "plain"
    )
