"""Remote write, rules P1 to P8, P23 and P24: what a body is, who may send it, what is answered."""

import asyncio
import base64
from collections.abc import AsyncIterator

import cramjam
import pytest
import pytest_asyncio

from os_credits.decode import snappy
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import now_ms
from tests.conformance import wire
from tests.conformance.doors import Door, Reply, push, transient_faults
from tests.conformance.raw import connected
from tests.conformance.remote_write_door import (
    BOTH,
    RW1,
    RW2,
    body,
    check_refused,
    check_taken,
    counts,
    read_back,
    send,
    series,
    written,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("scan")]

PATH = "/api/v1/write"
DECODED_BYTES_MAX = 20_000
TYPES_OF = {
    RW1.name: (
        "application/x-protobuf",
        "Application/X-Protobuf",
        " application/x-protobuf ",
        "application/x-protobuf;",
        "application/x-protobuf; charset=utf-8",
        "application/x-protobuf;proto=prometheus.WriteRequest",
        'application/x-protobuf; Proto = "prometheus.WriteRequest" ; charset=utf-8',
        "application/x-protobuf;proto=prometheus.WriteRequest;proto=prometheus.WriteRequest",
        "",
    ),
    RW2.name: (
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "application/x-protobuf ; proto=io.prometheus.write.v2.Request",
        "application/x-protobuf; charset=utf-8; proto=io.prometheus.write.v2.Request",
        'APPLICATION/X-PROTOBUF;PROTO="io.prometheus.write.v2.Request";v="x=y"',
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tight(shared_database_url: str) -> AsyncIterator[Service]:
    """Give a service with small bounds."""
    bounds = {"body_bytes_max": 10_000, "decoded_bytes_max": DECODED_BYTES_MAX}
    async with running(settings_for(shared_database_url, **bounds)) as one:
        yield one


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_p01_only_post_is_taken(shared: Service, door: Door, method: str) -> None:
    reply = await push(shared, door, None, method=method)

    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


@BOTH
async def test_p01_no_other_path_is_ever_redirected(shared: Service, door: Door) -> None:
    at = now_ms()
    for path in (f"{PATH}/", f"/{PATH}", "/api/v1/Write", "/api/v1/write/x"):
        reply = await send(shared, door, series("p01", (at, 1.0)), path=path)
        assert (reply.status, "Location" in reply.headers) == (404, False)
    assert await read_back(shared, "p01") == {}


@BOTH
async def test_p02_the_content_type_alone_chooses_the_message(shared: Service, door: Door) -> None:
    at, project = now_ms(), f"p02 {door.name}"
    types = TYPES_OF[door.name]
    for number, content_type in enumerate(types):
        headers = {"Content-Type": content_type}
        sent = series(project, (at + number, 1.0))
        check_taken(await send(shared, door, sent, headers=headers), door, 1)

    assert await read_back(shared, project) == {
        (project, at + number): 1.0 for number in range(len(types))
    }


async def test_p02_no_content_type_means_1_0(shared: Service) -> None:
    at = now_ms()
    async with shared.request(
        "POST",
        PATH,
        key="ingest",
        data=body(RW1, [series("p02", (at, 1.0))]),
        skip_auto_headers=["Content-Type"],
    ) as response:
        assert "Content-Type" not in response.request_info.headers
        reply = Reply(response.status, response.headers.copy(), await response.text())

    check_taken(reply, RW1, 1)
    assert await read_back(shared, "p02") == {("p02", at): 1.0}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "image/png",
        "text/plain",
        "application/protobuf",
        "application/x-protobuf2",
        "application/x-protobuf, application/x-protobuf",
        "application/x-protobuf;proto",
        "application/x-protobuf;proto=",
        "application/x-protobuf;proto=io.prometheus.write.v3.Request",
        "application/x-protobuf;proto=IO.Prometheus.Write.V2.Request",
        "application/x-protobuf;proto=prometheus.WriteRequest;proto=io.prometheus.write.v2.Request",
    ],
)
async def test_p02_any_other_content_type_is_415(shared: Service, content_type: str) -> None:
    for door in (RW1, RW2):
        for sent in (b"0 broken", body(door, [series("p02 bad", (now_ms(), 1.0))])):
            reply = await push(shared, door, sent, headers={"Content-Type": content_type})
            assert (reply.status, reply.json["code"]) == (415, "unsupported media type")
            assert written(reply) == counts(RW1, 0)
    assert await read_back(shared, "p02 bad") == {}


@BOTH
async def test_p03_snappy_in_any_case_or_no_encoding_is_taken(shared: Service, door: Door) -> None:
    start = now_ms() - 10_000
    expected = {}
    for number, encoding in enumerate(("snappy", "Snappy", "SNAPPY", " snappy ", "")):
        headers = {"Content-Encoding": encoding}
        sent = series(f"p03 {door.name}", (start + number, 1.0))
        check_taken(await send(shared, door, sent, headers=headers), door, 1)
        expected[f"p03 {door.name}", start + number] = 1.0
    assert await read_back(shared, f"p03 {door.name}") == expected


@BOTH
@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "zstd", "br", "identity", "x-snappy-framed", "snappy, snappy"]
)
async def test_p03_any_other_encoding_is_415(shared: Service, door: Door, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    for sent in (b"0 broken", body(door, [series("p03 bad", (now_ms(), 1.0))])):
        reply = await push(shared, door, sent, headers=headers)
        check_refused(reply, door, 0, status=415)
    assert await read_back(shared, "p03 bad") == {}


@BOTH
async def test_p03_an_encoding_is_refused_before_the_body_is_read(
    shared: Service, door: Door
) -> None:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {shared.keys['ingest']}\r\n"
        f"Content-Type: {door.headers['Content-Type']}\r\nContent-Encoding: gzip\r\n"
        "Content-Length: 5000\r\n\r\n"
    )
    async with connected(shared.url) as connection:
        await connection.send(head.encode())
        reply = await connection.reply()

    assert reply is not None
    check_refused(reply, door, 0, status=415)


@BOTH
async def test_p04_the_version_header_means_nothing(shared: Service, door: Door) -> None:
    at, project = now_ms(), f"p04 {door.name}"
    versions = ("0.1.0", "2.0.0", "1.0.0", "nonsense")
    for number, version in enumerate(versions):
        headers = {"X-Prometheus-Remote-Write-Version": version}
        sent = series(project, (at + number, 1.0))
        check_taken(await send(shared, door, sent, headers=headers), door, 1)

    assert len(await read_back(shared, project)) == len(versions)


@BOTH
async def test_p05_a_broken_or_framed_body_is_400_and_nothing_is_stored(
    shared: Service, door: Door
) -> None:
    whole = body(door, [series("p05", (now_ms(), 1.0))])
    message = snappy.decompress(whole, 10_000)
    bodies = {
        "framed": bytes(cramjam.snappy.compress(message)),
        "not compressed": message,
        "cut block": whole[:-1],
        "longer block": whole + b"\0",
        "another first byte": b"0" + whole[1:],
        "an endless length": b"\xff" * 12,
        "cut message": snappy.compress(message[:-1]),
        "no message": snappy.compress(b"\xff\xff\xff no protobuf"),
        "a field of number 0": snappy.compress(b"\x02\x01x" + message),
        "nothing at all": b"",
    }
    for what, sent in bodies.items():
        reply = await push(shared, door, sent)
        assert reply.status == 400, what
        check_refused(reply, door, 0)
    assert await read_back(shared, "p05") == {}


@BOTH
async def test_p06_the_claimed_length_is_judged_before_anything_is_unpacked(
    tight: Service, door: Door
) -> None:
    for sent, status in (
        (b"\xff\xff\xff\xff\x0fab", 413),
        (wire.varint(DECODED_BYTES_MAX + 1) + b"ab", 413),
        (snappy.compress(bytes(DECODED_BYTES_MAX + 1)), 413),
        (wire.varint(DECODED_BYTES_MAX) + b"ab", 400),
    ):
        check_refused(await push(tight, door, sent), door, 0, status=status)


@BOTH
async def test_p06_a_body_of_the_largest_size_is_taken(tight: Service, door: Door) -> None:
    at, project = now_ms(), f"p06 {door.name}"
    message = snappy.decompress(body(door, [series(project, (at, 1.0))]), 10_000)
    filling = DECODED_BYTES_MAX - len(message) - 5  # an unknown field: 2 bytes of tag, 3 of length
    largest = message + wire.part(100, bytes(filling))

    assert len(largest) == DECODED_BYTES_MAX
    check_taken(await push(tight, door, snappy.compress(largest)), door, 1)
    larger = snappy.compress(message + wire.part(100, bytes(filling + 1)))
    check_refused(await push(tight, door, larger), door, 0, status=413)
    assert await read_back(tight, project) == {(project, at): 1.0}


@BOTH
async def test_p07_p08_exact_counts_stand_in_every_answer_to_2_0_and_in_none_to_1_0(
    tight: Service, door: Door
) -> None:
    at = now_ms()
    good = series(f"p07 {door.name}", (at, 1.0), (at + 1, 2.0))
    bad = series("", (at, 1.0))
    check_taken(await send(tight, door, good), door, 2)
    check_refused(await send(tight, door, good, bad), door, 2)
    check_refused(await push(tight, door, b"x" * 10_001), door, 0, status=413)
    check_refused(await send(tight, door, good, key=None), door, 0, status=401)
    check_refused(await send(tight, door, good, key="read"), door, 0, status=403)
    encoding = {"Content-Encoding": "gzip"}
    check_refused(await send(tight, door, good, headers=encoding), door, 0, status=415)
    assert len(await read_back(tight, f"p07 {door.name}")) == 2


async def test_p07_p08_the_counts_of_trouble_that_passes_are_zero(
    unused_tcp_port: int,
) -> None:
    nowhere = f"postgresql://x:x@127.0.0.1:{unused_tcp_port}/x"
    async with running(settings_for(nowhere), ready=False) as one:
        for door in (RW1, RW2):
            sent = body(door, [series("p07 away", (now_ms(), 1.0))])
            reply = await push(one, door, sent, key="osc_" + "0" * 32)
            assert transient_faults(door, reply) == []
            assert written(reply) == counts(door, 0)


async def test_p23_a_body_of_the_other_version_is_never_lost_without_a_trace(
    shared: Service,
) -> None:
    for door, other in ((RW1, RW2), (RW2, RW1)):
        sent = body(other, [series("p23", (now_ms(), 1.0))])
        message = check_refused(await push(shared, door, sent), door, 0)
        assert "Content-Type" in message
    assert await read_back(shared, "p23") == {}


@BOTH
async def test_p23_unknown_fields_are_ignored_at_every_level(shared: Service, door: Door) -> None:
    at, project = now_ms(), f"p23 {door.name}"
    unknown = wire.part(100, b"abc") + wire.whole(101, 5) + wire.double(102, 1.0)
    known = series(project)
    inner = wire.sample(at, 1.0) + unknown
    symbols = wire.Symbols()
    if door is RW1:
        one = wire.series_v1(known.pairs, [inner]) + unknown
        message = wire.part(1, one) + unknown
    else:
        one = wire.series_v2(symbols.refs(known.pairs), [inner]) + unknown
        message = snappy.decompress(symbols.body([one]), 10_000) + unknown
    check_taken(await push(shared, door, snappy.compress(unknown + message)), door, 1)

    assert await read_back(shared, project) == {(project, at): 1.0}


@BOTH
async def test_p23_an_empty_message_is_a_success(shared: Service, door: Door) -> None:
    check_taken(await push(shared, door, snappy.compress(b"")), door, 0)
    symbols_only = wire.part(4, b"") if door is RW2 else wire.part(3, b"\x08\x01\x12\x02up")
    check_taken(await push(shared, door, snappy.compress(symbols_only)), door, 0)


@BOTH
async def test_p24_a_key_comes_by_basic_bearer_or_its_own_header(
    shared: Service, door: Door
) -> None:
    start, key = now_ms() - 1000, shared.keys["ingest"]
    project = f"p24 {door.name}"
    basic = base64.b64encode(f"prometheus:{key}".encode()).decode()
    custom = {"Retry-Attempt": "7", "User-Agent": "Prometheus/3.5.0", "X-Scope-OrgID": "other"}
    headers = (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Basic {basic}"},
        {"X-API-Key": key},
        {"Authorization": f"Bearer {key}", **custom},
    )
    for number, one in enumerate(headers):
        sent = series(project, (start + number, 1.0))
        check_taken(await send(shared, door, sent, key=None, headers=one), door, 1)
    unknown: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer osc_0"},
        {"Authorization": "Basic x"},
    )
    for wrong in unknown:
        one_more = series(project, (start - 1, 1.0))
        reply = await send(shared, door, one_more, key=None, headers=wrong)
        check_refused(reply, door, 0, status=401)
        assert "WWW-Authenticate" in reply.headers
    assert len(await read_back(shared, project)) == len(headers)


@BOTH
async def test_p24_a_repeated_attempt_changes_nothing(shared: Service, door: Door) -> None:
    at, project = now_ms(), f"p24 again {door.name}"
    sent = body(door, [series(project, (at, 1.0))])

    async def attempt(number: int) -> Reply:
        return await push(shared, door, sent, headers={"Retry-Attempt": str(number)})

    for reply in await asyncio.gather(*(attempt(number) for number in range(4))):
        check_taken(reply, door, 1)
    assert await read_back(shared, project) == {(project, at): 1.0}
