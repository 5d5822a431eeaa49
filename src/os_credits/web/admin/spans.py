"""Lengths of time in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.web.language import gettext

if TYPE_CHECKING:
    from datetime import timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def span_text(length: timedelta) -> str:
    """Write a length in the largest unit that it has two of: 30 s, 15 min, 3 h, 2 d."""
    seconds = max(length.total_seconds(), 0)
    if seconds >= 2 * _DAY:
        return gettext("%(count)s d", count=round(seconds / _DAY))
    if seconds >= 2 * _HOUR:
        return gettext("%(count)s h", count=round(seconds / _HOUR))
    if seconds >= 2 * _MINUTE:
        return gettext("%(count)s min", count=round(seconds / _MINUTE))
    return gettext("%(count)s s", count=round(seconds))
