"""Bodies that are meant to hurt."""

import gzip
import time

from os_credits.decode import snappy
from os_credits.decode.remote_write_encode import encode_v1, encode_v2
from os_credits.decode.varint import framed, varint
from os_credits.domain.sample import Labels

MIB = 1024 * 1024
DAY_MS = 86_400_000
FIELD_BYTES = 2
# Below the bound of an unpacked body, so that it is read.
NEARLY_ALL = 60 * MIB


def now_ms() -> int:
    """Give the time of a sample that is measured now."""
    return time.time_ns() // 10**6


def field(number: int, content: bytes) -> bytes:
    """Write one field of a protobuf message."""
    return varint(number << 3 | FIELD_BYTES) + framed(content)


def label(name: bytes, value: bytes) -> bytes:
    """Write a label of remote write 1.0."""
    return field(1, field(1, name) + field(2, value))


def sample_1() -> bytes:
    """Write a sample of either version, measured now."""
    return field(2, b"\x09" + bytes(8) + b"\x10" + varint(now_ms()))


def snappy_claiming(byte_count: int) -> bytes:
    """Write a block that claims so many bytes and holds two."""
    return varint(byte_count) + b"\x04ab"


def empty_frames(number: int) -> bytes:
    """Write a message that is nothing but one empty field again and again, packed 21:1."""
    return snappy.compress(field(number, b"") * (NEARLY_ALL // 2))


def series_of(label_bytes: bytes) -> bytes:
    """Write a body of remote write 1.0 of one series."""
    return snappy.compress(field(1, label_bytes + sample_1()))


def million_labels_1() -> bytes:
    """Write one series of a million labels, remote write 1.0."""
    many = b"".join(label(b"l%d" % number, b"v") for number in range(1_000_000))
    return series_of(label(b"__name__", b"project_vcpu_usage") + many)


def million_labels_2() -> bytes:
    """Write one series of a million labels by references to two symbols, remote write 2.0."""
    symbols = b"".join(field(4, text) for text in (b"", b"__name__", b"project_vcpu_usage"))
    references = field(1, b"\1\2" * 1_000_000)
    return snappy.compress(symbols + field(5, references + sample_1()))


def huge_label() -> bytes:
    """Write one series with a label of a megabyte."""
    name = label(b"__name__", b"project_vcpu_usage")
    return series_of(name + label(b"project_id", b"p") + label(b"x", b"y" * MIB))


def huge_symbol(series_count: int) -> bytes:
    """Write 1e5 symbols, one of them huge, and series that all refer to it."""
    texts = [b"", b"__name__", b"project_vcpu_usage", b"project_id", b"h" * (MIB - 100)]
    texts += [b"s%d" % number for number in range(100_000)]
    symbols = b"".join(field(4, text) for text in texts)
    series = b"".join(
        field(5, field(1, b"\1\2\3\4" + varint(5 + number) + b"\4") + sample_1())
        for number in range(series_count)
    )
    return snappy.compress(symbols + series)


def many_series(start: int, count: int, *, projects: bool = False, version: int = 1) -> bytes:
    """Write series that were never there: servers of one project, or a project each."""
    time_ms = now_ms()
    series = [
        (_new_labels(number, projects=projects), [(time_ms, 1.0)])
        for number in range(start, start + count)
    ]
    return encode_v1(series) if version == 1 else encode_v2(series)


def _new_labels(number: int, *, projects: bool) -> Labels:
    labels = {
        "__name__": "openstack_nova_server_status",
        "flavor_id": "m1.large",
        "id": f"server-{number}",
        "location_id": "1",
        "project_name": "crowded",
        "status": "ACTIVE",
        "tenant_id": f"project-{number if projects else 0}",
    }
    return tuple(sorted(labels.items()))


def unknown_metrics(start: int, count: int) -> bytes:
    """Write samples of metrics that no meter names, each with another name."""
    return encode_v1(
        ((("__name__", f"unknown_metric_{number}"),), [(now_ms(), 1.0)])
        for number in range(start, start + count)
    )


def too_old(start: int, count: int) -> bytes:
    """Write samples that are refused, each of a series of its own."""
    time_ms = now_ms() - 100 * DAY_MS
    return encode_v1(
        (_new_labels(number, projects=True), [(time_ms, 1.0)])
        for number in range(start, start + count)
    )


def tiny_lines(count: int) -> bytes:
    """Write the shortest lines there are."""
    return b"m v=1\n" * count


def bomb(byte_count: int, text: bytes) -> bytes:
    """Pack a text again and again by gzip, about 1000:1."""
    return gzip.compress(text * (byte_count // len(text)), 9)


def nested_json(depth: int) -> bytes:
    """Write arrays within arrays."""
    return b"[" * depth + b"]" * depth


def many_valued_json(byte_count: int) -> bytes:
    """Write a Telegraf body of very many very small values."""
    return b'{"metrics":[' + b"[]," * (byte_count // 3) + b"[]]}"


def many_fields_json(count: int) -> bytes:
    """Write a Telegraf metric of very many fields."""
    fields = b",".join(b'"f%d":1' % number for number in range(count))
    return b'{"metrics":[{"name":"m","tags":{},"fields":{%b},"timestamp":1}]}' % fields


def one_series_of(number: int) -> bytes:
    """Write one series, in this field, that is nothing but empty samples."""
    return snappy.compress(field(number, field(2, b"") * (NEARLY_ALL // 2)))


def zeros() -> bytes:
    """Write a block that is all zeros, packed 21:1."""
    return snappy.compress(bytes(NEARLY_ALL))


def many_values_packed() -> bytes:
    """Write as many very small values as one body may hold, packed by gzip."""
    return gzip.compress(many_valued_json(NEARLY_ALL))
