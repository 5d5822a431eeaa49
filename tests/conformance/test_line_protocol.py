"""Line protocol through the door: generated lines, and one case for each rule, read back."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from os_credits.decode import line_protocol
from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import gzipped, now_ms, vcpu_line
from tests.conformance.influx import V1_WRITE, ask, check_refusal, counting
from tests.conformance.line_door import METER, write_door_body
from tests.conformance.line_rules import RULES

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOOR_LINES = 100
DELTA_METER = """
[[meter]]
name = "requests"
metric = "requests"
kind = "delta"
unit = "request"
project_id = "project_id"
"""


async def test_generated_lines_through_the_door_are_stored_or_named(shared: Service) -> None:
    expected: dict[stored.SamplePlace, float] = {}
    unknown: Counter[str] = Counter()
    texts = refused = 0
    since = await counting(shared)
    for precision in ("ns", "us", "ms", "s", "m", "h"):
        door = write_door_body(f"door {precision}", precision, DOOR_LINES, now_ms())
        path = f"{V1_WRITE}?db=x&precision={precision}"
        packed = {"Content-Encoding": "gzip"}
        reply = await ask(shared, "POST", path, gzipped(door.text), headers=packed)

        message = check_refusal(reply, 400)
        first, words = door.refused[0]
        assert message.startswith(f"partial write: line {first}: unable to parse '")
        assert words in message
        assert message.endswith(f"dropped={len(door.refused)}")
        assert reply.json["line"] == first
        expected |= door.samples
        unknown += door.unknown
        texts += door.billed_texts
        refused += len(door.refused)
    await shared.rated()

    assert await samples_of(shared, expected) == expected
    assert await since() == {
        "accepted": {METER: len(expected)},
        "unknown_metrics": unknown,
        "set_aside": {"text": texts},
        "refused": {"unreadable": refused},
    }


async def samples_of(
    service: Service, expected: Iterable[stored.SamplePlace]
) -> dict[stored.SamplePlace, float]:
    """Give what is stored of the projects that are expected."""
    return await stored.samples(service.settings.database_url, *{place[1] for place in expected})


async def test_every_rule_through_the_door(shared: Service) -> None:
    now = now_ms()
    expected: dict[stored.SamplePlace, float] = {}
    since = await counting(shared)
    for number, rule in enumerate(RULES):
        project = f"rule {number}"
        reply = await ask(shared, "POST", V1_WRITE, rule.body(project, now))

        assert reply.status == (400 if rule.refused else 204), (rule.name, reply.text)
        for line, words in rule.refused:
            assert f"line {line}: unable to parse '" in reply.json["error"], rule.name
            assert words in reply.json["error"], rule.name
        expected[METER, project, "", now] = rule.value
    await shared.rated()

    assert await samples_of(shared, expected) == expected
    assert (await since())["accepted"] == {METER: len(expected)}
    assert (await since())["refused"] == {"unreadable": sum(len(rule.refused) for rule in RULES)}


async def test_a_field_that_holds_text_where_a_meter_expects_a_number_is_set_aside(
    shared: Service,
) -> None:
    line = vcpu_line(1).replace("value=1", 'value="1"')
    other = vcpu_line(2).replace("value=2", 'value=2,note="a\nb"')
    since = await counting(shared)
    reply = await ask(shared, "POST", V1_WRITE, f'{line}\n{other}\nunknown value="x"')

    assert reply.status == 204
    seen = await since()
    assert seen["set_aside"] == {"text": 1}
    assert (seen["accepted"], seen["unknown_metrics"]) == ({METER: 1}, {})


async def test_each_numeric_field_that_a_meter_claims_is_a_sample_of_its_own(
    shared: Service,
) -> None:
    now = now_ms()
    fields = "project_vcpu_usage=3,project_mb_usage=4i,go_threads=7,up=true"
    expected = {
        ("project_vcpu_usage", "several", "", now): 3.0,
        ("project_mb_usage", "several", "", now): 4.0,
    }
    since = await counting(shared)
    line = f"prometheus,project_id=several {fields} {now}000000"
    reply = await ask(shared, "POST", V1_WRITE, line)
    await shared.rated()

    assert reply.status == 204
    assert await samples_of(shared, expected) == expected
    assert (await since())["unknown_metrics"] == {"go_threads": 1, "up": 1}


async def test_a_line_without_a_time_is_of_now_but_for_amounts_which_need_theirs(
    database_url: str, tmp_path: Path
) -> None:
    meters = tmp_path / "meters.toml"
    shipped = Path(line_protocol.__file__).parents[1] / "meters.toml"
    meters.write_text(shipped.read_text() + DELTA_METER)
    start = now_ms()
    body = (
        "project_vcpu_usage,project_id=c value=1\n"
        "openstack_cinder_volume_gb,tenant_id=g,id=v value=2\r\n"
        "requests,project_id=d value=3\n"
        f"requests,project_id=d value=4 {start}000000\n"
    )
    async with running(settings_for(database_url, meter_file=meters)) as service:
        reply = await ask(service, "POST", V1_WRITE, body)
        await service.rated()
        samples = await stored.samples(database_url)
    end = now_ms()

    assert check_refusal(reply, 400) == (
        "partial write: line 3: meter requests takes amounts: a timestamp is needed dropped=1"
    )
    assert reply.json["line"] == 3
    assert samples.pop(("requests", "d", "", start)) == 4.0
    assert {(place[:3], value) for place, value in samples.items()} == {
        (("project_vcpu_usage", "c", ""), 1.0),
        (("openstack_cinder_volume_gb", "g", "v"), 2.0),
    }
    assert all(start - 1000 <= time_ms <= end + 1000 for _, _, _, time_ms in samples)
