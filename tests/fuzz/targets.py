"""What is fuzzed: each target takes any bytes, and checks what must hold for them."""

import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from os_credits.decode import gzip, line_protocol, remote_write, snappy, telegraf_json
from os_credits.decode.columns import PIECES_MAX
from os_credits.decode.line_value import NANOSECONDS_PER_UNIT
from os_credits.domain.sample import Labels
from os_credits.errors import InvalidInput
from tests.fuzz import mutations, seeds
from tests.fuzz.message_mutation import protobuf
from tests.fuzz.properties import (
    check_key,
    hold,
    lines_all_found,
    metrics_all_found,
    push_of,
    same_whichever_way,
    samples_all_found_1,
    samples_all_found_2,
    values_are_finite,
)

LIMIT_BYTES = seeds.LIMIT_BYTES
PRECISIONS = tuple(NANOSECONDS_PER_UNIT)


@dataclass(frozen=True, slots=True)
class Target:
    """A way in: what must hold for any bytes, how they are damaged, what to start from."""

    check: Callable[[bytes], None]
    mutation: mutations.Mutation
    seeds: Callable[[], list[bytes]]


def _remote_write_1(body: bytes) -> None:
    push = push_of(remote_write.decode_v1, remote_write.labels_of_v1, body)
    if push is not None:
        samples_all_found_1(body, push)


def _scanners(body: bytes) -> None:
    same_whichever_way(body, PIECES_MAX)
    same_whichever_way(body, 5)


def _remote_write_2(body: bytes) -> None:
    push = push_of(remote_write.decode_v2, remote_write.labels_of_v2, body)
    if push is not None:
        samples_all_found_2(body, push)


def _packed(body: bytes) -> None:
    with suppress(InvalidInput):
        unpacked = snappy.decompress(body[1:], LIMIT_BYTES)
        (_remote_write_2 if body.startswith(b"\2") else _remote_write_1)(unpacked)


def _snappy(body: bytes) -> None:
    with suppress(InvalidInput):
        unpacked = snappy.decompress(body, LIMIT_BYTES)
        hold(len(unpacked) <= LIMIT_BYTES, "more than the limit")
        hold(snappy.decompress(snappy.compress(unpacked), LIMIT_BYTES) == unpacked, "not the same")


def _gzip(body: bytes) -> None:
    expected = _members(body)
    try:
        unpacked: bytes | None = gzip.decompress(body, LIMIT_BYTES)
    except InvalidInput:
        is_too_much = expected is not None and (
            len(b"".join(expected)) > LIMIT_BYTES or len(expected) > gzip.MEMBERS_MAX
        )
        hold(expected is None or is_too_much, "refused")
    else:
        hold(expected is not None and unpacked == b"".join(expected), "differs from zlib's own")


def _members(body: bytes) -> list[bytes] | None:
    """Unpack all members at one go each; None where one is broken."""
    members = []
    with suppress(zlib.error):
        while True:
            member = zlib.decompressobj(wbits=31)
            members.append(member.decompress(body))
            body = member.unused_data
            if not member.eof:
                return None
            if not body.strip(b"\0"):
                return members
    return None


def _lines(body: bytes) -> None:
    precision = PRECISIONS[body[0] % len(PRECISIONS)] if body else ""
    text = body[1:]
    push = push_of(lambda one: line_protocol.decode(one, precision), line_protocol.labels_of, text)
    if push is not None:
        values_are_finite(push)
        lines_all_found(text, push, precision)


def _metrics(body: bytes) -> None:
    push = push_of(telegraf_json.decode, telegraf_json.labels_of, body)
    if push is not None:
        values_are_finite(push)
        metrics_all_found(body, push)


def _keys(body: bytes) -> None:
    readers: list[Callable[[bytes], Labels]] = [
        remote_write.labels_of,
        remote_write.labels_of_v1,
        remote_write.labels_of_v2,
        line_protocol.labels_of,
        telegraf_json.labels_of,
    ]
    for labels_of in readers:
        check_key(labels_of, body)


TARGETS = {
    "remote_write_1": Target(_remote_write_1, protobuf, seeds.remote_write_1),
    "scanners": Target(_scanners, protobuf, seeds.usual_bodies),
    "remote_write_2": Target(_remote_write_2, protobuf, seeds.remote_write_2),
    "remote_write_packed": Target(_packed, mutations.packed, seeds.packed),
    "snappy": Target(_snappy, mutations.plain, lambda: [one[1:] for one in seeds.packed()]),
    "gzip": Target(_gzip, mutations.gzipped, seeds.gzipped),
    "line_protocol": Target(_lines, mutations.lines, seeds.lines),
    "telegraf_json": Target(_metrics, mutations.json_text, seeds.metrics),
    "label_keys": Target(_keys, mutations.plain, seeds.keys),
}
