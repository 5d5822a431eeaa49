"""Which samples enter the set that credits are made of: rules 2 and 7 of `docs/rating-rules.md`.

Three things can happen to a sample that is not accepted: *refused* (the sender did something
wrong and is told where and why), *set aside* (readable, but never billable: NaN, negative ...)
or *unknown* (no meter names its metric). The last two are counted and answered as success.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.claim import NOT_STORED, OVER_ALLOWANCE
from os_credits.domain.meter import MeterKind, MeterValue
from os_credits.domain.period import from_ms
from os_credits.domain.sample import Rejected, is_stale
from os_credits.rating.glance import accepted_at_a_glance
from os_credits.rating.judgement import Judgement
from os_credits.rating.usage import in_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from os_credits.domain.claim import Claim, KnownKeys
    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.sample import Push
    from os_credits.rating.judgement import Circumstances

_SITE = attrgetter("site")
# How many places one answer names for each reason; the rest is counted.
PLACES_NAMED_MAX = 20


def judge(push: Push, known: KnownKeys, under: Circumstances) -> Judgement:
    """Judge every sample of a push, whose keys are `known`."""
    accepted = accepted_at_a_glance(push, known, under)
    return judge_each(push, known, under) if accepted is None else accepted


def judge_each(push: Push, known: KnownKeys, under: Circumstances) -> Judgement:
    """Judge sample by sample, whatever they are."""
    work = _Work(push, known, under)
    work.without_claim()
    for layer in range(max((len(one.claims) for one in known.kinds), default=0)):
        work.layer(layer)
    work.without_version()
    judgement = work.judgement()
    judgement.by_site = work.by_site()
    return judgement


def _places_of(numbers: NDArray[np.int64], count: int) -> list[NDArray[np.intp]]:
    """Give where each number below `count` stands, all in one pass, however many there are."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.searchsorted(numbers[order], np.arange(count + 1)))[1:-1]


class _Work:
    """One push being judged; the pieces are joined at the end."""

    def __init__(self, push: Push, known: KnownKeys, under: Circumstances) -> None:
        self.push = push
        self.known = known
        self.under = under
        self.kind_of = known.kind_index[push.key_index]
        self.times = np.where(push.untimed, under.now_ms, push.times_ms)
        self.stale = is_stale(push.values)
        self.judged = np.zeros(len(push), np.bool_)
        self.is_refused = np.zeros(len(push), np.bool_)
        self.pieces: list[tuple[NDArray[np.int64], NDArray[np.intp]]] = []
        none = np.empty(0, np.int64)
        self.result = Judgement(none, none, np.empty(0, np.float64))

    def without_claim(self) -> None:
        """Refuse the samples of unusable label sets, count those of unknown metrics."""
        chosen = [number for number, kind in enumerate(self.known.kinds) if not kind.claims]
        for number, places in zip(chosen, self._of_kinds([[one] for one in chosen]), strict=True):
            kind = self.known.kinds[number]
            self.judged[places] = True
            if kind.invalid is None:
                self.result.unknown[kind.metric] += len(places)
            else:
                self.refuse("labels", places, _always(kind.invalid))

    def layer(self, layer: int) -> None:
        """Judge the samples under one claim of each label set, meter by meter."""
        groups: dict[tuple[int, str, bool, bool, int], list[int]] = {}
        sites_matter = self.under.access.sites is not None
        for number, kind in enumerate(self.known.kinds):
            if layer >= len(kind.claims):
                continue
            claim = kind.claims[layer]
            site = claim.site if sites_matter else ""
            not_stored = min(claim.label_set_id, 0)
            group = claim.version.id, site, claim.fits, claim.invalid is None, not_stored
            groups.setdefault(group, []).append(number)
        of_groups = self._of_kinds(list(groups.values()))
        for of_claim, numbers in zip(of_groups, groups.values(), strict=True):
            claim = self.known.kinds[numbers[0]].claims[layer]
            times = self.times[of_claim]
            places = of_claim[(times >= claim.from_ms) & (times < claim.until_ms)]
            self.judged[places] = True
            kept = self.under_claim(claim, places)
            self.pieces.append((self._label_set_ids(kept, layer), kept))

    def _of_kinds(self, groups: list[list[int]]) -> list[NDArray[np.intp]]:
        """Give the places of the samples of each group of kinds."""
        if not groups:
            return []
        members = np.full(len(self.known.kinds), -1, np.int64)
        kinds = [kind for group in groups for kind in group]
        members[kinds] = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        return _places_of(members[self.kind_of], len(groups))

    def _label_set_ids(self, places: NDArray[np.intp], layer: int) -> NDArray[np.int64]:
        """Give the id of each sample's label set, as a claim stores it."""
        if layer == 0:
            first: NDArray[np.int64] = self.known.label_set_ids[self.push.key_index[places]]
            return first
        ids = [
            kind.claims[layer].label_set_id if layer < len(kind.claims) else NOT_STORED
            for kind in self.known.kinds
        ]
        later: NDArray[np.int64] = np.array(ids, np.int64)[self.kind_of[places]]
        return later

    def without_version(self) -> None:
        """Judge what lies before the first version of its meter: then its metric was unknown."""
        for place in self._within_window(np.flatnonzero(~self.judged)).tolist():
            self.result.unknown[self.known.kinds[self.kind_of[place]].metric] += 1

    def under_claim(self, claim: Claim, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Refuse and set aside; give the places that are left."""
        definition = claim.version.definition
        if claim.invalid is not None:
            self.refuse("labels", places, _always(claim.invalid))
            return places[:0]
        places = self._refused(definition, claim, places)
        places = self._set_aside(definition, claim, places)
        if not claim.is_stored:
            return self._not_stored(claim, places)
        if len(places):
            self.result.accepted[definition.name] += len(places)
            latest = int(self.times[places].max())
            self.result.last_ms[definition.name] = max(
                latest, self.result.last_ms.get(definition.name, latest)
            )
        return places

    def _not_stored(self, claim: Claim, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Refuse what is beyond the key's allowance; count what nobody expected to get here."""
        if claim.label_set_id == OVER_ALLOWANCE:
            reason = "this key has brought as many new series as it may within an hour"
            self.refuse("new_series", places, _always(reason))
        else:
            self.result.unstored += len(places)
        return places[:0]

    def _refused(
        self, definition: MeterDefinition, claim: Claim, places: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        if not self.under.access.may_feed(claim.site, definition.name):
            reason = f"this key may not feed meter {definition.name} of site {claim.site!r}"
            self.refuse("key_scope", places, _always(reason))
            return places[:0]
        if definition.kind is MeterKind.DELTA:
            places = self._refused_delta(definition, places)
        return self._within_window(places)

    def _within_window(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        now, window = self.under.now_ms, self.under.window
        old = self.times[places] < now - window.past_ms
        self.refuse("too_old", places[old], lambda at: (
            f"{self._moment(at)} is older than the acceptance window of "
            f"{window.past_ms / 86_400_000:g} days"
        ))  # fmt: skip
        dropped = ~old & (self.times[places] < self.under.kept_from_ms)
        self.refuse("dropped", places[dropped], lambda at: (
            f"{self._moment(at)} is of a time whose samples are no longer kept"
        ))  # fmt: skip
        old |= dropped
        ahead = self.times[places] > now + window.ahead_ms
        self.refuse("too_far_ahead", places[ahead], lambda at: (
            f"{self._moment(at)} is more than {window.ahead_ms / 1000:g} s ahead of the "
            "database's clock"
        ))  # fmt: skip
        return places[~(old | ahead)]

    def _refused_delta(
        self, definition: MeterDefinition, places: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        if not self.under.deltas_allowed:
            reason = f"meter {definition.name} takes amounts: send line protocol or JSON"
            self.refuse("delta_door", places, _always(reason))
            return places[:0]
        untimed = self.push.untimed[places]
        reason = f"meter {definition.name} takes amounts: a timestamp is needed"
        self.refuse("untimed", places[untimed], _always(reason))
        return places[~untimed]

    def _set_aside(
        self, definition: MeterDefinition, claim: Claim, places: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        stale = self.stale[places]
        if definition.kind is MeterKind.GAUGE:
            # A stale marker, and a sample outside `match`, end the level: they are kept.
            reasons = {}
        else:
            reasons = {
                "stale_marker": stale,
                "not_matching": np.full(len(places), not claim.fits) & ~stale,
            }
        values = self.push.values[places]
        reasons["nan"] = np.isnan(values) & ~stale
        if definition.value is not MeterValue.ONE:
            counted = ~np.isnan(values)
            reasons["negative"] = counted & (values < 0)
            reasons["out_of_range"] = counted & (values >= 0) & ~in_range(values, definition)
        aside = np.zeros(len(places), np.bool_)
        for reason, chosen in reasons.items():
            count = int((chosen & ~aside).sum())
            if count:
                self.result.set_aside[reason] += count
            aside |= chosen
        return places[~aside]

    def _moment(self, place: int) -> str:
        ms = int(self.times[place])
        try:
            return from_ms(ms).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        except OverflowError:
            return f"{ms} ms"

    def refuse(self, code: str, places: NDArray[np.intp], reason_of: Callable[[int], str]) -> None:
        """Note refused places: the first few by name, the rest as a count."""
        self.is_refused[places] = True
        for place in places[:PLACES_NAMED_MAX].tolist():
            rejected = Rejected(self.push.where(place), reason_of(place))
            self.result.refused.append((code, rejected))
        rest = len(places) - PLACES_NAMED_MAX
        if rest > 0:
            more = Rejected("further on", reason_of(int(places[-1])), rest)
            self.result.refused.append((code, more))

    def by_site(self) -> dict[str, tuple[int, int | None]]:
        """Count what was accepted of each site."""
        sites = sorted(set(map(_SITE, self.known.kinds)) - {None})
        count, times = len(self.result), self.result.times_ms
        if len(sites) <= 1 or not count:
            latest = int(times.max()) if count else None
            return dict.fromkeys(sites, (count, latest))
        number = {site: place for place, site in enumerate(sites)}
        kept = np.concatenate([places for _, places in self.pieces])
        # A label set without a site has no accepted samples.
        of_kind = np.array([number.get(kind.site, 0) for kind in self.known.kinds], np.int64)
        of_kept = of_kind[self.kind_of[kept]]
        counts = np.bincount(of_kept, minlength=len(sites))
        latest_of = np.zeros(len(sites), np.int64)
        np.maximum.at(latest_of, of_kept, times)
        return {
            site: (int(counts[place]), int(latest_of[place]) if counts[place] else None)
            for site, place in number.items()
        }

    def judgement(self) -> Judgement:
        """Join the pieces into columns."""
        self.result.refused_count = int(self.is_refused.sum())
        if self.pieces:
            kept = np.concatenate([places for _, places in self.pieces])
            self.result.label_set_ids = np.concatenate([ids for ids, _ in self.pieces])
            self.result.times_ms = self.times[kept].astype(np.int64)
            self.result.values = self.push.values[kept]
        return self.result


def _always(reason: str) -> Callable[[int], str]:
    return lambda _: reason
