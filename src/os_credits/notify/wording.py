"""The templates of mails: whence they come, and that they can be used.

`en.jinja` and `de.jinja` hold the words, block by block, `mail.txt` and `mail.html` the form;
both forms are given the same words. A folder of templates with these names goes before the
built-in ones: a form replaces the built-in one (`built-in/mail.html` can be included), words
replace single blocks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    Template,
    TemplateError,
    select_autoescape,
)

from os_credits.domain.mail import Language
from os_credits.errors import MailDelayed, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jinja2 import BaseLoader
    from jinja2.runtime import Context

FORMS = ("mail.txt", "mail.html")


class Wording:
    """All templates; raises Misconfigured if one of them cannot even be read.

    A template that is changed while the service runs counts from the next mail on.
    """

    def __init__(self, folder: Path | None = None) -> None:
        built_in = PackageLoader("os_credits.notify")
        loaders: list[BaseLoader] = [built_in, PrefixLoader({"built-in": built_in})]
        if folder is not None:
            if not folder.is_dir():
                raise Misconfigured(f"there is no folder {folder} with templates of mails")
            loaders.insert(0, FileSystemLoader(folder))
        self._environment = Environment(
            loader=ChoiceLoader(loaders),
            # The words are put together without escapes, and escaped where they enter the page.
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in (*FORMS, *(f"{language}.jinja" for language in Language)):
            try:
                self._environment.get_template(name)
            except (TemplateError, OSError, UnicodeDecodeError) as error:
                raise Misconfigured(f"template {name}: {_told(error)}") from error

    def words(self, language: Language, facts: Mapping[str, object]) -> Words:
        """Give the words of a language for these facts."""
        return Words(self._environment, f"{language}.jinja", facts)

    def form(self, name: str, content: Mapping[str, object]) -> str:
        """Write the text or the page; raises MailDelayed if the template is broken."""
        try:
            return self._environment.get_template(name).render(content)
        except Exception as error:
            raise MailDelayed(f"template {name}: {_told(error)}") from error


class Words:
    """The blocks of one language with the facts of one notice."""

    def __init__(self, environment: Environment, name: str, facts: Mapping[str, object]) -> None:
        self._environment = environment
        self._name = name
        self._facts = facts

    def __call__(self, block: str, **more: object) -> str:
        """Write a block as one line without outer blanks; MailDelayed if it is broken."""
        try:
            template, write = self._find(block)
            text = "".join(write(template.new_context({**self._facts, **more})))
        except Exception as error:
            raise MailDelayed(f"template {self._name}, {block}: {_told(error)}") from error
        return " ".join(text.split())

    def _find(self, block: str) -> tuple[Template, Callable[[Context], Iterator[str]]]:
        """Give a block of the folder, else the built-in one."""
        template = self._environment.get_template(self._name)
        if block not in template.blocks:
            template = self._environment.get_template(f"built-in/{self._name}")
        return template, template.blocks[block]


def _told(error: Exception) -> str:
    """Say what is wrong with a template, and in which line if that is known."""
    line = getattr(error, "lineno", None)
    place = f" (line {line})" if line else ""
    return f"{type(error).__name__}: {error}{place}"
