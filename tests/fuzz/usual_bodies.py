"""Bodies of remote write 1.0 of which a good part is as usual as scanners want them, by a seed."""

import random
import struct

from os_credits.decode.varint import framed, varint

USUAL_TIME = varint(1_795_311_049_127)
ODD_TIMES = (0, 1, 127, 2**35 - 1, 2**35, 2**42 - 1, 2**42, 2**63 - 1, 2**63, 2**64 - 1)
LABEL_BYTES = (0, 1, 9, 20, 40, 127, 128, 300, 1970, 16_383, 16_384)
EXEMPLAR = b"\x1a\x0b" + b"\x11abcdefgh\x18\x05"
# Beside labels and samples: unknown fields, an exemplar, a histogram that contradicts itself.
ODD_FIELDS = (
    b"\xfa\x01\x03abc",
    b"\x28\x05",
    EXEMPLAR,
    b"\x22\x02\x08\x05",
    b"\x12\x00",
    b"\x0a\x00",
)
DAMAGES = 3


def body(chance: random.Random) -> bytes:
    """Make one body: of usual series, with an odd one among them or none, then damaged or not."""
    oddness = chance.choice((0.0, 0.0, 0.02, 0.1, 0.5))
    series = [_series(chance, oddness) for _ in range(chance.choice((0, 1, 2, 3, 8, 40)))]
    if series and chance.random() < 0.2:
        series += chance.choices(series, k=3)
    fields = [_field(b"\x0a", one, chance, oddness) for one in series]
    if chance.random() < oddness:
        odd = (b"\x1a\x04\x08\x01\x12\x00", *ODD_FIELDS)
        fields.insert(chance.randrange(len(fields) + 1), chance.choice(odd))
    written = b"".join(fields)
    return _damaged(written, chance) if chance.random() < 0.3 else written


def _series(chance: random.Random, oddness: float) -> bytes:
    labels = [_label(chance, oddness) for _ in range(chance.choice((0, 1, 3, 8, 11, 14)))]
    if chance.random() < oddness:
        labels = [b"\x0a\x00"] * chance.choice((31, 32, 33, 998, 999, 1000, 1001))
    samples = [_sample(chance, oddness) for _ in range(chance.choice((1, 1, 1, 1, 2, 4, 30)))]
    if chance.random() < oddness:
        samples.insert(chance.randrange(len(samples) + 1), chance.choice(ODD_FIELDS))
    if chance.random() < oddness / 2:
        labels, samples = samples, labels
    if chance.random() < oddness / 2:
        samples = []
    return b"".join((*labels, *samples))


def _label(chance: random.Random, oddness: float) -> bytes:
    name, value = chance.choice(
        ((b"__name__", b"up"), (b"job", b"node"), (b"a\n", b"\x12\x10\x09"))
    )
    label = b"\x0a" + framed(name) + b"\x12" + framed(value)
    if chance.random() < 0.1 + oddness:
        label = chance.randbytes(chance.choice(LABEL_BYTES[: 9 if oddness < 0.5 else None]))
    return _field(b"\x0a", label, chance, oddness / 4)


def _field(tag: bytes, content: bytes, chance: random.Random, oddness: float) -> bytes:
    """Frame, now and then by a length of more bytes than needed."""
    if chance.random() < oddness:
        length = varint(len(content))
        return tag + length[:-1] + bytes([length[-1] | 0x80, 0]) + content
    return tag + framed(content)


def _sample(chance: random.Random, oddness: float) -> bytes:
    value = b"\x09" + struct.pack("<d", chance.choice((1.5, float("nan"), -1e300, chance.random())))
    time = b"\x10" + USUAL_TIME
    if chance.random() < 0.2:
        value = b""
    if chance.random() < oddness:
        time = b"\x10" + varint(chance.choice(ODD_TIMES))
    if chance.random() < oddness:
        value, time = chance.choice(((time, value), (value, b""), (value, time + b"\x18\x05")))
    return b"\x12" + framed(value + time)


def _damaged(written: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(written)
    for _ in range(chance.randrange(1, DAMAGES + 1)):
        place = chance.randrange(len(damaged) + 1)
        match chance.randrange(4):
            case 0:
                del damaged[place:]
            case 1:
                del damaged[place : place + chance.randrange(1, 20)]
            case 2:
                damaged[place:place] = chance.randbytes(chance.randrange(1, 20))
            case _ if place < len(damaged):
                damaged[place] ^= 1 << chance.randrange(8)
            case _:
                pass
    return bytes(damaged)
