"""The commands on accounts: grants on terms, top-ups, voids, adjustments, transfers, allowances."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.program import Program


@pytest.fixture
def alpha(program: Program) -> Program:
    """Give the program with two projects, one of which has 100 credits."""
    program("project", "add", "alpha")
    program("project", "add", "beta")
    program("grant", "alpha", "100", "--reason", "Budget")
    return program


def hour(ahead: int) -> str:
    """Write the full hour so many ahead."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return f"{now + timedelta(hours=ahead):%Y-%m-%dT%H:%MZ}"


def test_a_grant_takes_terms_and_is_listed_with_what_became_of_it(alpha: Program) -> None:
    start, end = hour(3), hour(30)
    terms = ("--valid-from", start, "--expires-at", end, "--priority", "-1")

    said = alpha("grant", "alpha", "20", "--reason", "Course", *terms).stdout
    listed = alpha.json("grants", "alpha")["grants"]
    table = alpha("grants", "alpha").stdout

    at = start.replace("T", " ").removesuffix("Z")
    assert said == f"alpha gets 20.000000 credits at {at} UTC (grant 2); 100.00 are left\n"
    assert [(one["state"], one["left"], one["priority"]) for one in listed] == [
        ("valid", "100.000000", 0),
        ("scheduled", "20.000000", -1),
    ]
    assert listed[1]["expires_at"] == end.replace("Z", ":00Z")
    headings, first, second = table.splitlines()
    assert headings.split()[:3] == ["GRANT", "KIND", "STATE"]
    assert first.split()[:3] == ["1", "grant", "valid"]
    assert second.split()[:3] == ["2", "grant", "scheduled"]


def test_a_grant_is_topped_up_and_taken_back(alpha: Program) -> None:
    up = alpha("top-up", "alpha", "1", "5", "--reason", "More").stdout
    void = alpha("void", "alpha", "2", "--reason", "Mistake").stdout
    again = alpha.refuse("void", "alpha", "2", "--reason", "Mistake")

    assert up == (
        "grant 1 of alpha is topped up by 5.000000 credits (grant 2, entry 2); 105.00 are left\n"
    )
    assert void == "alpha has its grant no more (grant 2, entry 3); 100.00 are left\n"
    assert again == "error: grant 2 was taken back already"


def test_an_account_is_adjusted_either_way(alpha: Program) -> None:
    down = alpha("adjust", "alpha", "-12.5", "--reason", "Counted twice").stdout
    up = alpha.json("adjust", "alpha", "0.5", "--reason", "Outage")
    nothing = alpha.refuse("adjust", "alpha", "0", "--reason", "x", status=2)

    assert down == "alpha is adjusted by -12.500000 credits (entry 2); 87.50 are left\n"
    assert up["balance"]["current"] == "88.000000"
    assert nothing == "error: AMOUNT: must not be 0"


def test_a_transfer_moves_credits_once_for_its_key(alpha: Program) -> None:
    words = ("transfer", "alpha", "beta", "30", "--reason", "Joint", "--idempotency-key", "k")

    first = alpha(*words).stdout
    again = alpha(*words).stdout
    other = alpha.refuse(*words, "--expires-at", hour(5))
    [listed] = alpha.json("transfers", "beta")["transfers"]

    made = "(transfer 1, grant 2, entry 2)"
    assert first == f"alpha gave 30.000000 credits to beta {made}; 70.00 are left\n"
    assert again == (f"alpha: the same was done before {made}; nothing was added, 70.00 are left\n")
    assert other == "error: idempotency key 'k' was used for something else"
    assert (listed["sender"]["name"], listed["amount"]) == ("alpha", "30.000000")
    assert alpha("transfers", "alpha").stdout.splitlines()[1].split()[:4] == [
        "1", "alpha", "beta", "30.00",
    ]  # fmt: skip


def test_an_allowance_is_added_listed_and_ended(alpha: Program) -> None:
    said = alpha(
        "allowance", "add", "alpha", "10", "--reason", "Basic", "--from", "2100-01", "--until",
        "2101-01",
    ).stdout  # fmt: skip
    alpha("allowance", "add", "beta", "10", "--reason", "Basic", "--carry-over")
    ended = alpha("allowance", "end", "alpha", "1", "--from", "2100-03", "--reason", "Over").stdout
    [listed] = alpha.json("allowance", "list", "alpha")["allowances"]
    [monthly] = alpha.json("allowance", "list", "beta")["allowances"]
    wrong = alpha.refuse(
        "allowance", "add", "alpha", "10", "--reason", "x", "--from", "2100-1", status=2
    )

    assert said == "alpha gets 10.000000 credits every month (allowance 1); 100.00 are left\n"
    assert ended == "alpha gets nothing from 2100-03 on (allowance 1); 100.00 are left\n"
    assert (listed["first_month"], listed["end_month"]) == ("2100-01", "2100-03")
    assert (monthly["first_month"], monthly["carries_over"]) == (
        f"{datetime.now(UTC):%Y-%m}", True,
    )  # fmt: skip
    assert wrong == "error: --from: must be a month like 2026-01"
    assert "2100-01  2100-03  expires" in alpha("allowance", "list", "alpha").stdout


@pytest.mark.parametrize(
    "words,message",
    [
        (("grant", "alpha", "1", "--reason", "x", "--valid-from", "2026-01-01T00:30Z"),
         "--valid-from: 2026-01-01T00:30:00+00:00 is not a full hour (UTC)"),
        (("grant", "alpha", "1", "--reason", " "), "--reason: 1 to 1024 printable characters"),
        (("grant", "alpha", "1", "--reason", "x", "--priority", "2000"),
         "priority: -1000 to 1000"),
        (("transfer", "alpha", "beta", "-1", "--reason", "x"), ""),
        (("transfer", "alpha", "alpha", "1", "--reason", "x"), "to: is the same project"),
        (("top-up", "alpha", "1", "0", "--reason", "x"), "AMOUNT: must be more than 0"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    alpha: Program, words: tuple[str, ...], message: str
) -> None:
    said = alpha.refuse(*words, status=2)

    assert said == f"error: {message}" if message else "No such option: -1" in said
