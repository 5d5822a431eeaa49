"""The cases that prometheus/compliance has for receivers of remote write, against the service."""

import pytest

from tests.acceptance.conftest import Service
from tests.acceptance.senders import now_ms
from tests.conformance import wire
from tests.conformance.doors import Door, push
from tests.conformance.figures import say
from tests.conformance.remote_write_door import (
    BOTH,
    RW1,
    RW2,
    body,
    check_refused,
    check_taken,
    series,
    written,
)
from tests.conformance.remote_write_suite import UP, Case, cases
from tests.conformance.remote_write_suite import body as body_of_case

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("scan")]

VERSION = {"X-Prometheus-Remote-Write-Version": "2.0.0"}
CASES_MIN = 90


async def test_every_case_is_answered_as_the_suite_expects(shared: Service) -> None:
    all_cases = list(cases())
    wrong = [fault for case in all_cases if (fault := await _fault(shared, case))]

    say("prometheus/compliance, receiver", cases=len(all_cases), wrong=len(wrong))
    assert not wrong, "\n".join(wrong)
    assert len(all_cases) == len({case.name for case in all_cases}) >= CASES_MIN


async def _fault(service: Service, case: Case) -> str | None:
    reply = await push(service, RW2, body_of_case(case, now_ms()), headers=VERSION)
    status = 204 if case.is_taken else 400
    counts = tuple(str(int(count)) for count in case.counts)
    if (reply.status, written(reply)) == (status, counts):
        return None
    return f"{case.name}: {reply.status} {written(reply)} {reply.text}"


@pytest.mark.parametrize("content_type", ["application/json", "image/png"])
async def test_bad_content_types(shared: Service, content_type: str) -> None:
    sent = b"0" + body(RW2, [series("suite", (now_ms(), 1.0))])[1:]
    reply = await push(shared, RW2, sent, headers={**VERSION, "Content-Type": content_type})

    assert reply.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_bad_content_encodings(shared: Service, encoding: str) -> None:
    sent = b"0" + body(RW2, [series("suite", (now_ms(), 1.0))])[1:]
    reply = await push(shared, RW2, sent, headers={**VERSION, "Content-Encoding": encoding})

    check_refused(reply, RW2, 0, status=415)


@BOTH
@pytest.mark.parametrize("first", [b"0", b"\xff"])
async def test_corrupt_request_body(shared: Service, door: Door, first: bytes) -> None:
    sent = first + body(door, [series("suite", (now_ms(), 1.0))])[1:]

    check_refused(await push(shared, door, sent), door, 0)


async def test_rw1_basic_compatibility(shared: Service) -> None:
    at = now_ms()
    up = [(name.encode(), value.encode()) for name, value in UP.items()]
    all_series = [
        wire.series_v1(up, [wire.sample(at, 1.0)]),
        wire.series_v1([(b"__name__", b"http_requests_total")], [wire.sample(at, 100.0)]),
    ]

    check_taken(await push(shared, RW1, wire.body_v1(all_series)), RW1, 2)
