"""Grants and other lines of an account in words."""

from typing import Any

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.entry import EntryKind
from os_credits.domain.grant import Grant, GrantState
from os_credits.domain.lot import LotKind
from os_credits.domain.project import Project
from os_credits.flows.given import GivenLot
from os_credits.store.spending import Change
from os_credits.web.lot_view import OVER_MAX, change_lines, lot_lines
from tests.unit.web.facts import NOW, PROJECT, day, facts

PARTNER = Project(id=2, site="there", external_id="", domain="d", name="other")


def lot(
    left: str,
    *,
    burned: str = "0",
    expired: str = "0",
    state: GrantState = GrantState.VALID,
    **more: Any,
) -> GivenLot:
    values: dict[str, Any] = {
        "id": 7, "project_id": PROJECT.id, "kind": LotKind.GRANT, "amount": credits_of("100"),
        "reason": "because", "author": "test", "created_at": NOW, "valid_from": day(1),
        "expires_at": None, "priority": 0, "allowance_id": None, "tops_up": None, "entry_id": 1,
        "is_void": state is GrantState.VOID,
    }  # fmt: skip
    grant = Grant(**{**values, **more})
    return GivenLot(grant, state, credits_of(burned), credits_of(expired), credits_of(left))


def change(kind: EntryKind | None, amount: str, **more: Any) -> Change:
    values: dict[str, Any] = {
        "reason": "why", "meter_id": None, "flavor_id": None, "grant_id": None, "entry_id": 5,
        "booked_at": NOW,
    }  # fmt: skip
    return Change(day(9), kind, credits_of(amount), **{**values, **more})


@pytest.mark.parametrize(
    "one,what,state,percent,is_over",
    [
        (lot("30", burned="70"), "Grant", "valid", 30, False),
        (lot("0", burned="100"), "Grant", "used up", 0, True),
        (
            lot("0", burned="60", expired="40", state=GrantState.EXPIRED),
            "Grant",
            "expired",
            0,
            True,
        ),
        (lot("0", burned="100", state=GrantState.EXPIRED), "Grant", "used up", 0, True),
        (lot("100", state=GrantState.SCHEDULED), "Grant", "coming", 100, False),
        (lot("0", state=GrantState.VOID), "Grant", "taken back", 0, True),
        (lot("100", allowance_id=3), "Allowance", "valid", 100, False),
        (lot("100", tops_up=3), "Top-up", "valid", 100, False),
        (lot("100", kind=LotKind.TRANSFER), "Transfer", "valid", 100, False),
        (lot("100", kind=LotKind.OPENING), "Taken over", "valid", 100, False),
    ],
)
def test_a_grant_says_what_became_of_it(
    one: GivenLot, what: str, state: str, percent: int, is_over: bool
) -> None:
    [line] = lot_lines(facts(left="0", lots=[one]))

    assert (line.what, line.state, line.is_over) == (what, state, is_over)
    assert line.percent == percent


def test_of_grants_that_are_over_only_the_latest_are_told() -> None:
    over = [lot("0", burned="100", id=number) for number in range(30)]
    lines = lot_lines(facts(left="0", lots=[lot("1", burned="99"), *over]))

    assert len(lines) == 1 + OVER_MAX


@pytest.mark.parametrize(
    "one,what,about",
    [
        (change(EntryKind.GRANT, "5", grant_id=7), "Grant", ""),
        (change(EntryKind.GRANT, "-5", grant_id=7), "Grant taken back", ""),
        (change(EntryKind.ADJUSTMENT, "-5"), "Adjustment", ""),
        (change(EntryKind.TRANSFER, "-5"), "Transfer to", "other"),
        (change(EntryKind.TRANSFER, "5", grant_id=7), "Transfer from", "other"),
        (change(EntryKind.TRANSFER, "-5", grant_id=7), "Transfer taken back", ""),
        (change(EntryKind.EXPIRY, "-5", grant_id=7), "Expired", ""),
        (change(EntryKind.CORRECTION, "5", grant_id=7), "Correction of what expired", ""),
        (change(EntryKind.CORRECTION, "5", meter_id=2, flavor_id=3), "Correction", "m1.3"),
        (change(EntryKind.CORRECTION, "5", meter_id=1, flavor_id=0), "Correction", "vcpu"),
        (change(EntryKind.OPENING, "5"), "Taken over", ""),
        (change(None, "-5", entry_id=None, booked_at=None), "Expired, not booked yet", ""),
    ],
)
def test_a_line_says_what_happened(one: Change, what: str, about: str) -> None:
    page = facts(left="0", changes=[one], partners={5: PARTNER})

    [line] = change_lines(page, lambda project: project is PARTNER)

    assert (line.what, line.about, line.reason) == (what, about, "why")
    assert line.is_name == (about == "other")


def test_a_correction_of_usage_leads_to_its_entry_in_the_explained_hour() -> None:
    corrections = [
        change(EntryKind.CORRECTION, "5", meter_id=1, flavor_id=0),
        change(EntryKind.CORRECTION, "5", grant_id=7),
    ]

    lines = change_lines(facts(left="0", changes=corrections), lambda _: False)

    assert [one.explained_at for one in lines] == ["2026-03-09T00#entry-5", ""]


def test_a_project_that_may_not_be_seen_has_no_name() -> None:
    page = facts(left="0", changes=[change(EntryKind.TRANSFER, "-5")], partners={5: PARTNER})

    [line] = change_lines(page, lambda _: False)

    assert line.about == "another project"
