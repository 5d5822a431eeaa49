"""Damage bodies where it hurts: within their structure, not only in their bytes.

Each mutation takes a body, the mutation of plain bytes to use within, and a source of chance.
"""

import gzip
import json
import random
from collections.abc import Callable
from typing import Any

from os_credits.decode import snappy
from os_credits.errors import InvalidInput
from tests.fuzz.message_mutation import Mutate, protobuf

Mutation = Callable[[bytes, Mutate, random.Random], bytes]

BYTES_MAX = 64 * 1024
UNPACKED_BYTES_MAX = 4 * 1024 * 1024

LINE_PIECES = [
    *(bytes([byte]) for byte in b',= \\"\n\r#\0\t\x1f\x7f+-.eEiu_'),
    *(
        b"\\,",
        b"\\ ",
        b"\\=",
        b'\\"',
        b"\\\\",
        b"\r\n",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\xff",
        b"\xed\xa0\x80",
    ),
    *(
        b"true",
        b"F",
        b"NaN",
        b"inf",
        b"1_0",
        b"0x1",
        b"1e999",
        b"1i",
        b"1u",
        b"-1u",
        b"00",
        b".5",
        b"5.",
    ),
    *(b"9223372036854775807i", b"-9223372036854775808i", b"18446744073709551615u", b"9" * 30),
    *(b" 9223372036854775806", b" -9223372036854775807", b" 0", b"time=1", b",time=a", b"value=1"),
    *(b'="a\nb"', b"m,a=b value=1 1\n", b"m value=", b"# c\n", b"__name__=x", b"prometheus f=1\n"),
]
JSON_PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\u0000", b"\\ud800", b"null", b"true", b"NaN"),
    *(
        b"1e400",
        b"-0",
        b"1E5",
        b"0.1",
        b"9" * 30,
        b'"name"',
        b'"tags"',
        b'"fields"',
        b'"timestamp"',
    ),
    *(b'"metrics"', b"{}", b"[]", b"[[[[", b"\xff", b"\xef\xbb\xbf", b"Infinity", b"1_0"),
]
JSON_DEPTH_MAX = 4
JSON_VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        2**53 + 1,
        2**64,
        10**40,
        1.5,
        -0.0,
        1e308,
        "",
        "x",
        "\0",
        "\ud800",
        "name",
    ),
    *([], {}, [[]], {"": ""}, {"value": 1}, [{"name": "m", "fields": {"v": 1}, "timestamp": 1}]),
]


def bytes_mutator(chance: random.Random) -> Mutate:
    """Mutate plain bytes by chance, where no fuzzer offers its own way."""

    def mutate(body: bytes) -> bytes:
        damaged = bytearray(body)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            place = chance.randrange(len(damaged) + 1)
            match chance.randrange(5):
                case 0:
                    damaged[place:place] = chance.randbytes(chance.choice((1, 1, 2, 8)))
                case 1:
                    del damaged[place : place + chance.choice((1, 1, 2, 8, 64))]
                case 2 if damaged:
                    damaged[place - 1] ^= 1 << chance.randrange(8)
                case 3 if damaged:
                    damaged[place - 1] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x20))
                case _:
                    other = chance.randrange(len(damaged) + 1)
                    damaged[place:place] = damaged[other : other + chance.choice((1, 4, 16, 256))]
        return bytes(damaged[:BYTES_MAX])

    return mutate


def plain(body: bytes, mutate: Mutate, chance: random.Random) -> bytes:
    """Damage the bytes."""
    del chance
    return mutate(body)


def packed(body: bytes, mutate: Mutate, chance: random.Random) -> bytes:
    """Damage what a snappy block holds, and pack it again; sometimes the block itself."""
    head, block = body[:1], body[1:]
    if chance.random() < 0.2:
        return head + mutate(block)
    try:
        unpacked = snappy.decompress(block, UNPACKED_BYTES_MAX)
    except InvalidInput:
        return head + mutate(block)
    return head + snappy.compress(protobuf(unpacked, mutate, chance))


def gzipped(body: bytes, mutate: Mutate, chance: random.Random) -> bytes:
    """Damage a gzip file: its bytes, its members, what stands behind them."""
    match chance.randrange(4):
        case 0:
            return body + gzip.compress(mutate(b"m value=1\n"), mtime=0)
        case 1:
            return body + bytes(chance.randrange(70_000))
        case _:
            return mutate(body)


def lines(body: bytes, mutate: Mutate, chance: random.Random) -> bytes:
    """Put in, take out or repeat pieces of the grammar."""
    return _spliced(body, mutate, chance, LINE_PIECES)


def json_text(body: bytes, mutate: Mutate, chance: random.Random) -> bytes:
    """Replace, repeat or nest a value of a JSON document; or damage its text."""
    if chance.random() < 0.4:
        return _spliced(body, mutate, chance, JSON_PIECES)
    try:
        document = json.loads(body)
        return json.dumps(_node(document, chance, JSON_DEPTH_MAX)).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return mutate(body)


def _spliced(body: bytes, mutate: Mutate, chance: random.Random, pieces: list[bytes]) -> bytes:
    place = chance.randrange(len(body) + 1)
    piece = chance.choice(pieces)
    match chance.randrange(6):
        case 0:
            return mutate(body)
        case 1:
            return body[:place] + piece * chance.choice((2, 3, 100)) + body[place:]
        case 2:
            return body[:place] + piece + body[place + len(piece) :]
        case 3:
            other = chance.randrange(len(body) + 1)
            return body[:place] + body[min(place, other) : max(place, other)] + body[place:]
        case _:
            return body[:place] + piece + body[place:]


def _node(node: Any, chance: random.Random, depth: int) -> Any:
    if depth and isinstance(node, dict) and node and chance.random() < 0.8:
        name = chance.choice(list(node))
        if chance.random() < 0.2:
            return {key: value for key, value in node.items() if key != name}
        return {**node, name: _node(node[name], chance, depth - 1)}
    if depth and isinstance(node, list) and node and chance.random() < 0.8:
        place = chance.randrange(len(node))
        if chance.random() < 0.3:
            return [*node, node[place]]
        return [*node[:place], _node(node[place], chance, depth - 1), *node[place + 1 :]]
    return chance.choice(JSON_VALUES)
