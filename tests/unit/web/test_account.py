"""How serious a balance is."""

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.balance import Balance
from os_credits.web.account import Account
from tests.unit.web.facts import NOW, PROJECT


@pytest.mark.parametrize(
    "granted,left,level,filled",
    [
        ("100", "100", "good", 100),
        ("100", "50", "good", 50),
        ("100", "49.999999", "low", 50),
        ("100", "20", "low", 20),
        ("100", "19.999999", "critical", 20),
        ("100", "0.000001", "critical", 0),
        ("100", "0", "debt", 0),
        ("100", "-30", "debt", 0),
        ("100", "250", "good", 100),
        ("0", "0", "none", 0),
        ("0", "-1", "debt", 0),
        ("0", "5", "none", 0),
    ],
)
def test_the_level_follows_what_is_left_of_what_was_granted(
    granted: str, left: str, level: str, filled: int
) -> None:
    balance = Balance(
        project_id=1,
        granted=credits_of(granted),
        granted_now=credits_of(granted),
        credited=credits_of(granted),
        booked=credits_of(left),
        tally=credits_of(0),
        expiring=credits_of(0),
        as_of=NOW,
    )
    account = Account(PROJECT, balance, "/")

    assert account.level == level
    assert account.filled == filled
