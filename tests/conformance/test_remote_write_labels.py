"""Remote write, rules P12 to P14: labels, symbols, and what tells one series from another."""

from collections.abc import Callable

import pytest

from os_credits.decode import snappy
from tests.acceptance import stored
from tests.acceptance.conftest import Service
from tests.acceptance.senders import now_ms
from tests.conformance import wire
from tests.conformance.doors import Door, push
from tests.conformance.faulty import Series
from tests.conformance.remote_write_door import (
    BOTH,
    RW1,
    RW2,
    check_refused,
    check_taken,
    read_back,
    send,
    series,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("scan")]

Pairs = list[tuple[bytes, bytes]]
UNUSABLE: list[tuple[Callable[[Pairs], Pairs], str]] = [
    (lambda pairs: pairs[1:], 'no metric name (label "__name__")'),
    (lambda _: [], 'no metric name (label "__name__")'),
    (lambda pairs: [(b"__name__", b""), *pairs[1:]], 'label "__name__" has an empty value'),
    (lambda pairs: [*pairs, (b"x", b"")], 'label "x" has an empty value'),
    (lambda pairs: [*pairs, (b"", b"x")], "empty label name"),
    (lambda pairs: [*pairs, (b"x", b"1"), (b"x", b"1")], 'duplicate label "x"'),
    (lambda pairs: [(b"x", b"1"), *pairs, (b"x", b"2")], 'duplicate label "x"'),
    (lambda pairs: [*pairs, pairs[0]], 'duplicate label "__name__"'),
    (lambda pairs: [*pairs, (b"x", b"\xff")], 'label text "\\xff" is not valid UTF-8'),
    (lambda pairs: [*pairs, (b"\xc3(", b"x")], 'label text "\\xc3(" is not valid UTF-8'),
    (lambda pairs: [*pairs, (b"x", b"\xed\xa0\x80")], "is not valid UTF-8"),
    (lambda pairs: [*pairs, (b"x", b"a\0b")], "NUL character in label text"),
]
ANY_TEXTS = [
    *(
        "job.name",
        "job name",
        "0",
        "a\nb\n",
        "\t",
        "\x7f",
        'x"y\\z',
        "{}",
        "𝜆🚀",
        "\u202e",
        "a" * 1000,
    ),
    *("__reserved__", "é", "e\N{COMBINING ACUTE ACCENT}", "<b>", "'; DROP TABLE sample; --"),
]
WRONG_REFERENCES: list[tuple[Callable[[list[int]], list[int]], str]] = [
    (lambda refs: refs[:-1], "odd number of references to the symbol table"),
    (lambda refs: [*refs, 1], "odd number of references to the symbol table"),
    (lambda refs: [*refs, 1, 10**4], "reference out of the symbol table"),
    (lambda refs: [10**4, 1, *refs], "reference out of the symbol table"),
    (lambda refs: [*refs, 1, 2**32 - 1], "reference out of the symbol table"),
    (lambda refs: [*refs, 0, 1], "empty label name"),
    (lambda refs: [*refs, 1, 0], "has an empty value"),
    (lambda _: [], "no metric name"),
    (lambda refs: refs * 300, "more than 1000 labels"),
]
REPLICA_LABELS = ("replica", "prometheus_replica", "__replica__")


async def series_and_label_sets(service: Service, project: str) -> tuple[int, int]:
    """Count what a project consists of by now."""
    await service.rated()
    rows = await stored.query(
        service.settings.database_url,
        """
        SELECT count(DISTINCT s.id), count(DISTINCT l.id) FROM project p
        JOIN series s ON s.project_id = p.id JOIN label_set l ON l.series_id = s.id
        WHERE p.external_id = %s
        """,
        project,
    )
    return rows[0][0], rows[0][1]


@BOTH
async def test_p12_unusable_labels_cost_their_own_series_only(shared: Service, door: Door) -> None:
    at, good, bad = now_ms(), f"p12 {door.name}", f"p12 bad {door.name}"
    samples = [wire.sample(at, 1.0), wire.sample(at + 1, 2.0)]
    expected: dict[tuple[str, int], float] = {}
    for number, (change, reason) in enumerate(UNUSABLE):
        wrong = Series(change(list(series(bad).pairs)), samples)
        first, second = at - 2 * number, at - 2 * number - 1
        sent = (series(good, (first, 1.0)), wrong, series(good, (second, 2.0)))
        message = check_refused(await send(shared, door, *sent), door, 2)
        assert message.startswith("refused 2: series 2: ")
        assert reason in message
        expected |= {(good, first): 1.0, (good, second): 2.0}

    assert await read_back(shared, good, bad) == expected


@BOTH
async def test_p12_unsorted_labels_are_the_same_label_set(shared: Service, door: Door) -> None:
    at, project = now_ms(), f"p12 order {door.name}"
    pairs = list(series(project, job="node", instance="a:9100").pairs)
    for number, order in enumerate((pairs, pairs[::-1], pairs[2:] + pairs[:2])):
        one = Series(order, [wire.sample(at + number, float(number))])
        check_taken(await send(shared, door, one), door, 1)

    assert await series_and_label_sets(shared, project) == (1, 1)
    assert len(await read_back(shared, project)) == 3


async def test_p12_both_versions_name_the_same_label_set(shared: Service) -> None:
    at, project = now_ms(), "p12 versions"
    for number, door in enumerate((RW1, RW2)):
        check_taken(await send(shared, door, series(project, (at + number, 1.0))), door, 1)

    assert await series_and_label_sets(shared, project) == (1, 1)


@BOTH
@pytest.mark.parametrize("replica_label", REPLICA_LABELS)
async def test_p12_replicas_feed_one_series(
    shared: Service, door: Door, replica_label: str
) -> None:
    at, project = now_ms(), f"p12 {door.name} {replica_label}"
    for number in range(4):
        name = "ab"[number % 2]
        one = series(project, (at + number, 1.0 + number), **{replica_label: name})
        both_see = series(project, (at - 1, 1.0), **{replica_label: name})
        check_taken(await send(shared, door, one, both_see), door, 2)

    assert await series_and_label_sets(shared, project) == (1, 2)
    expected = {(project, at + number): 1.0 + number for number in range(4)}
    assert await read_back(shared, project) == {**expected, (project, at - 1): 1.0}


@BOTH
async def test_p13_names_and_values_may_be_any_utf8(shared: Service, door: Door) -> None:
    at = now_ms()
    projects = {text: f"{door.name}{text}" for text in ANY_TEXTS}
    sent = [series(name, (at, 1.0), **{text: text}) for text, name in projects.items()]
    check_taken(await send(shared, door, *sent), door, len(sent))

    assert await read_back(shared, *projects.values()) == {
        (project, at): 1.0 for project in projects.values()
    }
    rows = await stored.query(
        shared.settings.database_url,
        """
        SELECT p.external_id, l.labels FROM project p JOIN series s ON s.project_id = p.id
        JOIN label_set l ON l.series_id = s.id WHERE p.external_id = ANY(%s)
        """,
        list(projects.values()),
    )
    labels = dict(rows)
    assert [labels[project][text] for text, project in projects.items()] == ANY_TEXTS


@BOTH
async def test_p13_a_metric_may_have_any_name(shared: Service, door: Door) -> None:
    for name in ("resource.cpu.usage", "resource cpu usage", "a\nb", "🚀"):
        one = Series([(b"__name__", name.encode())], [wire.sample(now_ms(), 1.0)])
        check_taken(await send(shared, door, one), door, 1)


async def test_p14_the_first_symbol_is_the_empty_text(shared: Service) -> None:
    pairs = series("p14", (now_ms(), 1.0)).pairs
    texts = [text for pair in pairs for text in pair]
    symbols = b"".join(wire.part(4, text) for text in texts)
    one = wire.part(5, wire.series_v2(range(len(texts)), [wire.sample(now_ms(), 1.0)]))
    message = check_refused(await push(shared, RW2, snappy.compress(symbols + one)), RW2, 0)

    assert "first symbol" in message
    assert await read_back(shared, "p14") == {}


async def test_p14_wrong_references_cost_their_own_series_only(shared: Service) -> None:
    at, good, bad = now_ms(), "p14 good", "p14 bad"
    two = [wire.sample(at, 1.0), wire.sample(at + 1, 1.0)]
    for number, (change, reason) in enumerate(WRONG_REFERENCES):
        symbols = wire.Symbols()
        refs, wrong = symbols.refs(series(good).pairs), change(symbols.refs(series(bad).pairs))
        all_series = [
            wire.series_v2(wrong, two[:1]),
            wire.series_v2(refs, [wire.sample(at - number, 1.0)]),
            wire.series_v2(wrong, two) + wire.part(5, b""),
        ]
        message = check_refused(await push(shared, RW2, symbols.body(all_series)), RW2, 1)
        assert message.startswith("refused 3: series 1: ")
        assert reason in message

    expected = {(good, at - number): 1.0 for number in range(len(WRONG_REFERENCES))}
    assert await read_back(shared, good, bad) == expected


async def test_p14_references_may_be_written_one_by_one_or_by_large_numbers(
    shared: Service,
) -> None:
    at, symbols = now_ms(), wire.Symbols()
    many = [(b"n%d" % number, b"v%d" % number) for number in range(10_000)]
    symbols.refs(many)
    refs = symbols.refs(series("p14 forms").pairs)
    one_by_one = b"".join(wire.whole(1, ref) for ref in refs) + wire.part(2, wire.sample(at, 1.0))
    packed = wire.series_v2(refs, [wire.sample(at + 1, 2.0)])
    check_taken(await push(shared, RW2, symbols.body([one_by_one, packed])), RW2, 2)

    assert await series_and_label_sets(shared, "p14 forms") == (1, 1)
    assert await read_back(shared, "p14 forms") == {
        ("p14 forms", at): 1.0,
        ("p14 forms", at + 1): 2.0,
    }


@pytest.mark.parametrize("reference", [3, 4])
async def test_p14_a_reference_of_metadata_must_be_within_the_table(
    shared: Service, reference: int
) -> None:
    at, project, symbols = now_ms(), f"p14 metadata {reference}", wire.Symbols()
    refs = symbols.refs(series(project).pairs)
    described = [
        wire.series_v2(refs, [wire.sample(at + number, 1.0)])
        + wire.part(5, wire.whole(1, 1) + wire.whole(reference, text))
        for number, text in enumerate((0, len(symbols.numbers) - 1, len(symbols.numbers)))
    ]
    message = check_refused(await push(shared, RW2, symbols.body(described)), RW2, 2)

    assert message == "refused 1: series 3: reference out of the symbol table"
    assert await read_back(shared, project) == {(project, at): 1.0, (project, at + 1): 1.0}
