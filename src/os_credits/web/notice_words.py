"""Notices in words, for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.notice import NoticeKind
from os_credits.web.language import N_, gettext
from os_credits.web.text import quantity_text

if TYPE_CHECKING:
    from decimal import Decimal

KINDS = {
    NoticeKind.PERCENT: N_("per cent that are left"),
    NoticeKind.CREDITS: N_("credits that are left"),
    NoticeKind.DAYS: N_("days until credits run out"),
    NoticeKind.BURN: N_("credits used per day"),
    NoticeKind.CLOSED: N_("that the project ends, or goes on"),
    NoticeKind.LATE_USAGE: N_("usage after the end"),
}
_LINES = {
    NoticeKind.PERCENT: N_("%(line)s per cent of the grants are left"),
    NoticeKind.CREDITS: N_("%(line)s credits are left"),
    NoticeKind.DAYS: N_("credits run out within %(line)s days"),
    NoticeKind.BURN: N_("%(line)s credits are used per day"),
}
_OTHERS = {
    NoticeKind.CLOSED: N_("the project was closed, or opened again"),
    NoticeKind.LATE_USAGE: N_("the closed project was charged more"),
}


def line_words(kind: NoticeKind, line: Decimal | None) -> str:
    """Say which line was crossed, or what else happened."""
    if kind in _LINES and line is not None:
        return gettext(_LINES[kind], line=quantity_text(line))
    return gettext(_OTHERS.get(kind, _OTHERS[NoticeKind.LATE_USAGE]))
