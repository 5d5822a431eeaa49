"""What doctor thinks of what it finds, without a database."""

from datetime import UTC, datetime, timedelta

import pytest

from os_credits.domain.finding import State
from os_credits.domain.mail import Channel, MailState
from os_credits.domain.meter import MeterDefinition, MeterKind
from os_credits.flows.diagnose import (
    differing_labels,
    judge_channels,
    judge_clock,
    judge_durability,
    judge_extension,
    judge_gap,
    judge_keys,
    judge_ledger,
    judge_mails,
    judge_queue,
    judge_schema,
    judge_shared_series,
    judge_unpriced,
)
from os_credits.store.diagnosis import SharedSeries
from os_credits.store.ledger_guard import LedgerGuard
from os_credits.store.server import Durability, expected_revisions

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def durability(**changes: str | None) -> Durability:
    values: dict[str, str | None] = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "timescaledb_version": "2.19.3",
        "timescaledb_license": "apache",
        "server_version": "15.8",
    }
    return Durability(**(values | changes))  # type: ignore[arg-type]


def gauge(max_gap_seconds: int) -> MeterDefinition:
    return MeterDefinition(
        name="disk",
        metric="disk",
        kind=MeterKind.GAUGE,
        unit="GiB",
        project_id="project",
        max_gap_seconds=max_gap_seconds,
    )


@pytest.mark.parametrize(
    "version, edition, state, words",
    [
        ("2.19.3", "apache", State.OK, "2.19.3, Apache edition"),
        ("2.13.0", "timescale", State.OK, "2.13.0, licence timescale"),
        ("2.12.2", "apache", State.FAILED, "2.12.2 is too old"),
        ("3.0.0-dev", "apache", State.OK, "3.0.0-dev, Apache edition"),
        (None, None, State.FAILED, "the extension is missing"),
    ],
)
def test_timescaledb_must_be_there_and_new_enough(
    version: str | None, edition: str | None, state: State, words: str
) -> None:
    found = judge_extension(durability(timescaledb_version=version, timescaledb_license=edition))

    assert (found.state, found.message) == (state, words)
    assert bool(found.advice) == (state is not State.OK)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_database_that_may_lose_commits_fails_unless_it_is_allowed(setting: str) -> None:
    unsafe = durability(**{setting: "off"})

    found = judge_durability(unsafe, allow_unsafe=False)

    assert found.state is State.FAILED
    assert f"{setting} is off" in found.message
    assert judge_durability(unsafe, allow_unsafe=True).state is State.WARNING
    assert judge_durability(durability(), allow_unsafe=False).state is State.OK


def test_the_schema_must_be_of_this_version() -> None:
    head, older = expected_revisions()

    assert judge_schema(None).state is State.FAILED
    assert judge_schema(head).state is State.OK
    assert judge_schema("9999").state is State.WARNING
    assert [State.FAILED] * len(older) == [judge_schema(one).state for one in older]


@pytest.mark.parametrize(
    "seconds, state, words",
    [
        (0.4, State.OK, "0.400 s behind"),
        (-1.5, State.OK, "1.500 s ahead of"),
        (30.0, State.WARNING, "30.000 s behind"),
        (-30.0, State.WARNING, "30.000 s ahead of"),
        (5000.0, State.WARNING, "5000.000 s behind"),
        (-601.0, State.FAILED, "601.000 s ahead of"),
    ],
)
def test_clocks_must_agree_or_samples_are_refused(seconds: float, state: State, words: str) -> None:
    """`seconds` is how far the database's clock is ahead of ours."""
    found = judge_clock(timedelta(seconds=seconds), ahead_seconds_max=600)

    assert (found.state, words in found.message) == (state, True)


def test_the_ledger_must_be_guarded() -> None:
    problems = ["may UPDATE entry", "may DELETE entry"]

    found = judge_ledger(LedgerGuard(True, "me", problems), allow_unsafe=False)

    assert found.state is State.FAILED
    assert found.message == (
        "the role me could change the ledger: it may UPDATE entry, may DELETE entry"
    )
    states = [
        judge_ledger(LedgerGuard(has_triggers, "me", problems), allow_unsafe=True).state
        for has_triggers, problems in [(True, []), (True, ["is a superuser"]), (False, [])]
    ]
    assert states == [State.OK, State.WARNING, State.FAILED]


def test_somebody_must_be_able_to_administer() -> None:
    assert [State.OK, State.WARNING] == [judge_keys(has_admin=one).state for one in (True, False)]


@pytest.mark.parametrize(
    "minutes, state",
    [(20, State.OK), (21, State.WARNING), (60, State.WARNING), (61, State.FAILED)],
)
def test_a_gap_of_three_intervals_must_be_billed(minutes: int, state: State) -> None:
    found = judge_gap(gauge(3600), timedelta(minutes=minutes))

    assert (found.check, found.state) == ("max_gap of disk", state)
    assert str(minutes * 180) in found.advice or state is State.OK


def test_series_with_several_sources_are_counted_by_what_differs() -> None:
    replicas = [
        SharedSeries(
            "vcpu", "alpha", "", [{"replica": "a", "job": "x"}, {"replica": "b", "job": "x"}]
        ),
        SharedSeries("vcpu", "beta", "", [{"replica": "a"}, {"replica": "b"}]),
        SharedSeries("disk", "beta", "v1", [{"host": "a"}, {"host": "b", "port": "1"}]),
    ]

    found = judge_shared_series(replicas)

    assert found.state is State.WARNING
    assert found.message == (
        "1 series of disk (such as beta v1) are fed by label sets that differ in host, port; "
        "2 series of vcpu (such as alpha) are fed by label sets that differ in replica"
    )
    assert judge_shared_series([]).state is State.OK


def test_labels_differ_that_are_not_the_same_everywhere() -> None:
    assert differing_labels([{"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"a": "1"}]) == ["b"]
    assert differing_labels([{"a": ""}, {}]) == []


def test_usage_without_a_price_is_named_up_to_a_bound() -> None:
    rows = [{"meter": "servers", "flavor": f"m{number}"} for number in range(7)]

    found = judge_unpriced(rows)

    assert found.state is State.WARNING
    assert found.message.endswith("servers m0, servers m1, servers m2, servers m3, servers m4"
                                  " and 2 more")  # fmt: skip
    assert judge_unpriced([{"meter": "vcpu", "flavor": ""}]).message.endswith(": vcpu")
    assert judge_unpriced([]).state is State.OK


@pytest.mark.parametrize("seconds, state", [(-1, State.OK), (60, State.OK), (61, State.WARNING)])
def test_batches_must_not_wait_long(seconds: int, state: State) -> None:
    found = judge_queue(2, 30, NOW - timedelta(seconds=seconds), now=NOW)

    assert found.state is state
    assert found.message.startswith("30 samples in 2 batches wait")
    assert judge_queue(0, 0, None, now=NOW).state is State.OK


def test_mails_that_nobody_gets_are_told() -> None:
    counts = dict.fromkeys(MailState, 0)
    waiting, refused = counts | {MailState.PENDING: 3}, counts | {MailState.REFUSED: 1}

    assert judge_mails(counts, sends_mail=False).state is State.OK
    assert judge_mails(waiting, sends_mail=True).state is State.OK
    assert judge_mails(waiting, sends_mail=False).state is State.WARNING
    assert judge_mails(refused, sends_mail=True).state is State.WARNING


def test_a_webhook_that_refuses_is_seen_once_there_is_one() -> None:
    nothing = {channel: dict.fromkeys(MailState, 0) for channel in Channel}
    refused = nothing | {Channel.WEBHOOK: nothing[Channel.MAIL] | {MailState.REFUSED: 2}}

    assert ["mails"] == [one.check for one in judge_channels(nothing, sends_mail=True)]
    [_, webhook] = judge_channels(refused, sends_mail=True)
    assert ("webhook notices", State.WARNING, "0 sent, 0 waiting, 2 refused") == (
        webhook.check,
        webhook.state,
        webhook.message,
    )
