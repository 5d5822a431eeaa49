"""Any order, any duplication, any batching: the same credits, equal to the oracle's."""

from __future__ import annotations

import asyncio
import os
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from os_credits.domain.meter import MeterDefinition
from os_credits.flows.meters import FilePrice, MeterFile
from tests.core import STALE, Core, Written, new_core, opened_core
from tests.laws import oracle

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3_600_000
EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "150"))
METERS: dict[str, tuple[dict[str, Any], oracle.Meter]] = {
    "level": (
        {"kind": "gauge", "unit": "GiB", "flavor": "flavor", "max_rate": Decimal("40.5")},
        oracle.Meter(
            "gauge", max_rate=Fraction(81, 2), price=Fraction("0.3"),
            prices={"m1": Fraction("0.123456789")},
        ),
    ),
    "presence": (
        {"kind": "gauge", "unit": "server", "value": "one", "flavor": "flavor",
         "match": {"status": ["ACTIVE"]}, "max_gap_seconds": 5400},
        oracle.Meter(
            "gauge", value="one", match="ACTIVE", max_gap=5_400_000, price=Fraction(1, 4)
        ),
    ),
    "total": (
        {"kind": "counter", "unit": "vCPU-hour", "flavor": "flavor"},
        oracle.Meter("counter", price=Fraction(1), prices={"m2": Fraction("7.000001")}),
    ),
    "restarting": (
        {"kind": "counter", "unit": "GB", "on_reset": "restart", "steps_per_unit": 10**9,
         "max_rate": Decimal("0.7")},
        oracle.Meter("counter", on_reset="restart", steps=10**9, price=Fraction("0.000001"),
                     max_rate=Fraction("0.7")),
    ),
    "amount": (
        {"kind": "delta", "unit": "request", "flavor": "flavor", "match": {"status": "ACTIVE"}},
        oracle.Meter("delta", match="ACTIVE", price=Fraction("0.5")),
    ),
}  # fmt: skip


def meter_file() -> MeterFile:
    """Declare the meters above, with their prices."""
    definitions = tuple(
        MeterDefinition(
            name=name, metric=name, project_name="project", resource="server", **definition
        )
        for name, (definition, _) in METERS.items()
    )
    prices = [
        FilePrice(name, flavor, Decimal(price.numerator) / Decimal(price.denominator))
        for name, (_, meter) in METERS.items()
        for flavor, price in [(None, meter.price), *meter.prices.items()]
        if price is not None
    ]
    return MeterFile(definitions, tuple(prices))


numbers = st.one_of(
    st.integers(0, 60).map(float),
    st.floats(0, 60, allow_nan=False),
    st.sampled_from([STALE, float("nan"), -1.0, float("inf"), 1e308, 5e-324, 2.0**53 + 1]),
)
# Times come in a coarse grid, so that ties and equal hours are frequent, and a fine one.
offsets = st.one_of(
    st.integers(0, 12).map(lambda step: step * HOUR // 2),
    st.integers(0, 12).map(lambda step: step * HOUR // 2),
    st.integers(0, 6 * HOUR),
)
samples = st.tuples(
    st.sampled_from(["a", "a", "b"]),
    offsets,
    numbers,
    st.sampled_from(["", "m1", "m2"]),
    st.sampled_from(["ACTIVE", "SHUTOFF"]),
)


def written(project: str, base: int, sample: tuple[Any, ...]) -> Written:
    """Write a sample as a sender would."""
    meter, server, offset, value, flavor, status = sample
    labels = {"__name__": meter, "project": project, "server": server, "status": status}
    return ({**labels, "flavor": flavor} if flavor else labels), base + offset, value


def expected(base: int, chosen: list[tuple[Any, ...]]) -> dict[tuple[str, str, int], int]:
    """Ask the oracle for the credits of all meters."""
    result = {}
    for name, (_, meter) in METERS.items():
        seen = [
            oracle.Sample(
                server, base + offset,
                oracle.STALE if same_bits(value) else value,
                "" if name == "restarting" else flavor, status,
            )
            for meter_name, server, offset, value, flavor, status in chosen
            if meter_name == name
        ]  # fmt: skip
        for (flavor, hour), micro in oracle.credits(meter, seen).items():
            result[name, flavor, hour] = micro
    return result


def same_bits(value: float) -> bool:
    """Tell the stale marker from any other value."""
    return value != value and value is STALE  # noqa: PLR0124


def batches(order: list[Any], cuts: list[int]) -> Iterator[list[Any]]:
    """Cut a list into pieces."""
    places = sorted({cut % (len(order) + 1) for cut in cuts} | {0, len(order)})
    for start, end in pairwise(places):
        yield order[start:end]


async def credits_after(core: Core, bodies: list[list[Written]], project: str, data: Any) -> Any:
    """Hand in bodies, rate now and then, sometimes by another copy, and read the charges."""
    copies = [core, new_core(core.pool, samples_max=3)]
    for body in bodies:
        await core.push(body)
        for _ in range(data.draw(st.integers(0, 2))):
            await data.draw(st.sampled_from(copies)).rater.run()
    await core.rate()
    return await core.charged(project)


def test_any_order_and_duplication_gives_the_oracles_credits(database_url: str) -> None:
    """Random sets over every kind of meter: shuffled, doubled, cut into bodies."""
    loop = asyncio.new_event_loop()
    opened = opened_core(database_url, meter_file())
    core = loop.run_until_complete(opened.__aenter__())
    count = 0

    @given(st.data(), st.sampled_from(sorted(METERS)), st.lists(samples, min_size=1, max_size=30))
    @settings(
        max_examples=EXAMPLES, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    def law(data: Any, meter: str, drawn: list[tuple[Any, ...]]) -> None:
        nonlocal count
        count += 1
        chosen = [(meter, *sample) for sample in drawn]
        project = f"project-{count}"
        now = loop.run_until_complete(core.now_ms())
        base = (now // HOUR - 20) * HOUR
        doubled = chosen + data.draw(st.lists(st.sampled_from(chosen), max_size=10))
        order = data.draw(st.permutations(doubled))
        cuts = data.draw(st.lists(st.integers(0, 100), max_size=5))
        bodies = [
            [written(project, base, sample) for sample in body] for body in batches(order, cuts)
        ]

        assert expected(base, chosen) == loop.run_until_complete(
            credits_after(core, bodies, project, data)
        )

    try:
        law()
    finally:
        loop.run_until_complete(opened.__aexit__(None, None, None))
        loop.close()
