"""What explanations say in sentences, in the language of the page; numbers stay as they are."""

from __future__ import annotations

import re

from os_credits.domain.explanation import Outcome, Reach
from os_credits.web.language import N_, told
from os_credits.web.language import gettext as _

# Remarks and roundings of `rating/formula.py`, with the numbers that they are about.
_SENTENCES = (
    (re.compile(r"(?P<count>\S+) pairs of neighbours"), N_("%(count)s pairs of neighbours")),
    (
        re.compile(r"a gap of (?P<gap>.+), longer than (?P<allowed>.+)"),
        N_("a gap of %(gap)s, longer than %(allowed)s"),
    ),
    (re.compile(r"more than (?P<rate>.+) per hour"), N_("more than %(rate)s per hour")),
    (re.compile(r"more than (?P<rate>.+)"), N_("more than %(rate)s")),
    (re.compile(r"it fell: counted from zero"), N_("it fell: counted from zero")),
    (re.compile(r"(?P<steps>.+) steps are (?P<growth>.+)"), N_("%(steps)s steps are %(growth)s")),
    (
        re.compile(r"counted for the (?P<days>\S+) days before the later sample only"),
        N_("counted for the %(days)s days before the later sample only"),
    ),
    (re.compile(r"(?P<value>.+) counts as (?P<units>.+)"), N_("%(value)s counts as %(units)s")),
    (
        re.compile(r"(?P<exact>.+) rounds half-even to (?P<charge>.+)"),
        N_("%(exact)s rounds half-even to %(charge)s"),
    ),
)
_SILENCES = (
    N_("a stale marker ended the level"),
    N_("the earlier sample is outside the meter's match"),
    N_("the level is zero"),
    N_("the counter did not grow"),
    N_("less than one step falls into this hour"),
    N_("the amount is zero"),
)
WHY = {
    Outcome.PRICED: "",
    Outcome.NOT_BILLED: N_("Costs nothing: in this hour the project was not among those billed."),
    Outcome.WAIVED: N_("Costs nothing: it was waived."),
    Outcome.UNPRICED: N_("Not charged: no price holds in this hour. Once there is one, it is."),
    Outcome.ABSURD: N_("Not charged: so much cannot be true."),
    Outcome.OPEN: N_("Not charged: nobody has decided about it yet."),
}
REACHES = {
    Reach.SAMPLES: "",
    Reach.USAGE: N_("The samples of this hour were dropped after their time; its usage is kept."),
    Reach.DAY: N_("The hours of this day are no longer kept one by one; the day's sums are."),
}


def remark_text(remark: str) -> str:
    """Write a remark of a calculation in the language that holds."""
    return "; ".join(_part(part) for part in remark.split("; ")) if remark else ""


def _part(part: str) -> str:
    if part in _SILENCES:
        return told(part)
    for pattern, sentence in _SENTENCES:
        found = pattern.fullmatch(part)
        if found is not None:
            return _(sentence, **found.groupdict())
    return part
