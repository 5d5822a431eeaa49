"""Damage protobuf messages field by field, knowing nothing of what the fields mean."""

import random
import struct
from collections.abc import Callable

from os_credits.decode.varint import framed, read_varint, varint
from os_credits.errors import InvalidInput

Mutate = Callable[[bytes], bytes]
Field = tuple[int, bytes]

DEPTH_MAX = 4
NUMBERS = (0, 1, 127, 128, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
FLOATS = (0.0, -0.0, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"), -1.0)
STALE = struct.pack("<Q", 0x7FF0000000000002)


def protobuf(body: bytes, mutate: Mutate, chance: random.Random) -> bytes:
    """Damage one field of a message, at any depth, so that the frames round it still fit."""
    return _message(body, mutate, chance, DEPTH_MAX) if chance.random() < 0.8 else mutate(body)


def _message(body: bytes, mutate: Mutate, chance: random.Random, depth: int) -> bytes:
    fields = _fields(body)
    if not fields:
        return mutate(body)
    place = chance.randrange(len(fields))
    tag, payload = fields[place]
    match chance.randrange(8):
        case 0:
            fields.insert(chance.randrange(len(fields) + 1), fields[place])
        case 1:
            del fields[place]
        case 2:
            other = chance.randrange(len(fields))
            fields[place], fields[other] = fields[other], fields[place]
        case 3:
            fields[place] = (chance.randrange(1, 20) << 3 | tag & 7, payload)
        case _:
            fields[place] = (tag, _payload(tag & 7, payload, mutate, chance, depth))
    return b"".join(_written(field) for field in fields)


def _payload(kind: int, payload: bytes, mutate: Mutate, chance: random.Random, depth: int) -> bytes:
    if kind == 0:
        return varint(chance.choice((*NUMBERS, chance.getrandbits(42))))
    if kind == 1:
        return chance.choice((STALE, struct.pack("<d", chance.choice(FLOATS)), chance.randbytes(8)))
    if kind == 2:
        return _message(payload, mutate, chance, depth - 1) if depth else mutate(payload)
    return chance.randbytes(4)


def _fields(body: bytes) -> list[Field]:
    """Cut a message into its fields, as far as it is one."""
    fields: list[Field] = []
    start = 0
    try:
        while start < len(body):
            tag, start = read_varint(body, start)
            kind = tag & 7
            end = start
            if kind == 0:
                _, end = read_varint(body, start)
            elif kind == 2:
                length, start = read_varint(body, start)
                end = start + length
            else:
                end = start + {1: 8, 5: 4}[kind]
            if end > len(body):
                break
            fields.append((tag, body[start:end]))
            start = end
    except (InvalidInput, KeyError):
        pass  # what follows is no field
    return fields


def _written(field: Field) -> bytes:
    tag, payload = field
    return varint(tag) + (framed(payload) if tag & 7 == 2 else payload)
