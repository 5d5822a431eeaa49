"""What fuzzing starts from: bodies of real senders, and the corpus of line protocol."""

import gzip
import json
import random
from pathlib import Path

from os_credits.decode import line_protocol, remote_write, snappy, telegraf_json
from os_credits.decode.remote_write_encode import encode_v1, encode_v2
from tests.fuzz.usual_bodies import body as usual_body

DATA = Path(__file__).resolve().parents[1] / "data"
LIMIT_BYTES = 4 * 1024 * 1024
SEED_BYTES_MAX = 16 * 1024
USUAL_BODIES = 60

LABELS = (("__name__", "up"), ("flavor", "m1.large"), ("project_id", "p"))
MADE = [(LABELS, [(1_700_000_000_000, 1.5), (0, 0.0)]), (LABELS[:1], [(-1, float("nan"))])]
LINES = (
    b'm,a=b value=1 1700000000000000000\nn f=1i,g=2u,h=t,s="x\\"y"\n# c\n\nbad\r\n',
    b'm s="a\nb",f=-1e4 5\n m\\ x\\,y,k\\==v\\,  a=.5,b=1. -9223372036854775806',
)
JSON = (
    b'{"metrics":[{"name":"m","tags":{"a":"b"},"fields":{"v":1,"s":"t"},"timestamp":1700000000}]}',
    b'{"name":"m","tags":{},"fields":{"value":18446744073709551615},"timestamp":1700000000000}',
    b'[{"name":"m","fields":{"v":1e400,"w":null,"x":-0.0},"timestamp":1.5},{"name":""}]',
)


def captures(version: str) -> list[bytes]:
    """Give the packed bodies of real senders of one version of remote write."""
    folder = DATA / "remote_write"
    return [path.read_bytes() for path in sorted(folder.glob(f"remote-write-{version}-*.snappy"))]


def remote_write_1() -> list[bytes]:
    """Give unpacked bodies of remote write 1.0."""
    return [snappy.decompress(one, LIMIT_BYTES) for one in (*captures("1.0"), encode_v1(MADE))]


def usual_bodies() -> list[bytes]:
    """Give unpacked bodies of remote write 1.0 that scanners take, or nearly so."""
    chance = random.Random(1)
    made = [usual_body(chance) for _ in range(USUAL_BODIES)]
    return [*remote_write_1(), *(one for one in made if len(one) < SEED_BYTES_MAX)]


def remote_write_2() -> list[bytes]:
    """Give unpacked bodies of remote write 2.0."""
    return [snappy.decompress(one, LIMIT_BYTES) for one in (*captures("2.0"), encode_v2(MADE))]


def packed() -> list[bytes]:
    """Give packed bodies; the byte before each says which version it is of."""
    first = [b"\1" + one for one in (*captures("1.0"), encode_v1(MADE))]
    return [*first, *(b"\2" + one for one in (*captures("2.0"), encode_v2(MADE)))]


def lines() -> list[bytes]:
    """Give bodies of line protocol; the byte before each chooses the precision."""
    cases = json.loads((DATA / "line_protocol" / "corpus.json").read_text())
    return [
        b"\0" + one
        for one in (*LINES, *(case["text"].encode() for case in cases if "text" in case))
    ]


def metrics() -> list[bytes]:
    """Give bodies of Telegraf's JSON."""
    return list(JSON)


def gzipped() -> list[bytes]:
    """Give gzip files: of one member, of two, of none, with padding behind."""
    one = gzip.compress(b"\n".join(LINES), mtime=0)
    return [one, one + one, one + bytes(9), gzip.compress(b"", mtime=0), gzip.compress(bytes(9999))]


def keys() -> list[bytes]:
    """Give the keys of label sets in every form."""
    found: dict[bytes, None] = {}
    for body in remote_write_1():
        found.update(dict.fromkeys(remote_write.decode_v1(body).keys))
    for body in remote_write_2():
        found.update(dict.fromkeys(remote_write.decode_v2(body).keys))
    for body in lines():
        found.update(dict.fromkeys(line_protocol.decode(body[1:], "ns").keys))
    for body in metrics():
        found.update(dict.fromkeys(telegraf_json.decode(body).keys))
    return list(found)
