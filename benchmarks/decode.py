"""What reading remote write 1.0 costs beside unpacking it, by the processor's time.

    python -m benchmarks.decode

Unpacking alone, and with reading by either scanner, run in turns; the ratios are what counts.
Beside them stands what finding all series by fingerprints takes as well, and what protobuf takes
for all labels and samples.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from os_credits.decode import remote_write, snappy
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_encode import encode_v1
from os_credits.decode.scan import scan_compiled
from os_credits.decode.scan_python import scan_python
from os_credits.domain.claim import Claim, KnownLabelSet
from os_credits.domain.meter import MeterDefinition, MeterVersion
from os_credits.flows.known_label_sets import KnownLabelSets

if TYPE_CHECKING:
    from collections.abc import Callable

    from os_credits.domain.sample import Labels

ROUNDS = 200
FEW_ROUNDS = 60
LIMIT_BYTES = 64 * 1024 * 1024
FIRST_MS = 1_795_311_049_127
STEP_MS = 15_000
# Series and samples of each: as Prometheus sends by default, and as others may.
SHAPES = ((2_000, 1), (500, 4))
METERS = ("openstack_nova_server_status", "libvirt_domain_info_virtual_cpus")
ZERO_SHARE = 0.05


def body_of(series_count: int, samples_each: int) -> bytes:
    """Make a packed body of servers: 10.5 labels, about 365 bytes of them, for each series."""
    chance = random.Random(1)
    return encode_v1(
        (_labels(number, chance), _samples(samples_each, chance)) for number in range(series_count)
    )


def _labels(number: int, chance: random.Random) -> Labels:
    host = f"compute-{number % 90:03}.cloud.example.org"
    labels = {
        "__name__": METERS[number % 2],
        "domain": f"instance-{chance.getrandbits(32):08x}",
        "flavor_name": "de.NBI large",
        "host": host,
        "instance": f"{host}:9177",
        "job": "openstack-exporter",
        "project_id": f"{chance.getrandbits(128):032x}",
        "project_name": f"project-{number % 200}",
        "server_id": f"{chance.getrandbits(128):032x}",
        "site": "bielefeld",
    }
    if number % 2:
        labels["status"] = "ACTIVE"
    return tuple(sorted(labels.items()))


def _samples(count: int, chance: random.Random) -> list[tuple[int, float]]:
    value = 0.0 if chance.random() < ZERO_SHARE else chance.random() * 1e6
    return [(FIRST_MS + step * STEP_MS, value and value + step) for step in range(count)]


def decode_vs_snappy(body: bytes, compiled: bool, rounds: int = ROUNDS) -> float:
    """Give how many times as long unpacking and reading take as unpacking; medians, in turns."""
    scan = scan_compiled if compiled else scan_python
    assert scan is not None, "there is no compiled part"
    return _times_unpacking(body, partial(remote_write.decode_v1, scan=scan), rounds)


def finding_vs_snappy(body: bytes, rounds: int = ROUNDS) -> float:
    """Give the same of unpacking, reading, and finding what is known of each label set."""
    known = KnownLabelSets(count_max=10**6, text_bytes_max=10**6)
    keys = remote_write.decode_v1(snappy.decompress(body, LIMIT_BYTES)).keys
    meter = MeterDefinition(name="m", metric="m", kind="gauge", unit="u", project_name="p")
    version = MeterVersion(1, 1, meter, datetime(2026, 1, 1, tzinfo=UTC), None)
    learned = {
        key: KnownLabelSet("m", (Claim(number, version, "", True, 0, 2**62),))
        for number, key in enumerate(keys)
    }
    known.remember("", learned)
    return _times_unpacking(
        body, lambda unpacked: known.find("", remote_write.decode_v1(unpacked).keys), rounds
    )


def protobuf_vs_snappy(body: bytes, rounds: int = ROUNDS) -> float:
    """Give the same of unpacking, and of parsing all labels and samples."""
    return _times_unpacking(body, _parsed, rounds)


def _parsed(unpacked: bytes) -> list[object]:
    found: list[object] = []
    for series in proto.WriteRequest.FromString(unpacked).timeseries:
        one = proto.TimeSeries.FromString(series)
        labels = map(proto.Label.FromString, one.labels)
        found.append([(label.name, label.value) for label in labels])
        found.append([(sample.timestamp, sample.value) for sample in one.samples])
    return found


def _times_unpacking(body: bytes, work: Callable[[bytes], object], rounds: int) -> float:
    unpacking, both = [], []
    for _ in range(rounds):
        unpacking.append(_seconds(lambda: snappy.decompress(body, LIMIT_BYTES)))
        both.append(_seconds(lambda: work(snappy.decompress(body, LIMIT_BYTES))))
    return statistics.median(both) / statistics.median(unpacking)


def decoding() -> dict[str, float]:
    """Give what `benchmarks.bench` records: with the scanner in use, and with that of Python."""
    found = {}
    for name, shape in zip(("", "_500x4"), SHAPES, strict=True):
        body = body_of(*shape)
        in_python = decode_vs_snappy(body, compiled=False, rounds=FEW_ROUNDS)
        in_use = in_python
        if scan_compiled is not None:
            in_use = decode_vs_snappy(body, compiled=True, rounds=FEW_ROUNDS)
        found[f"decode{name}_vs_snappy"] = in_use
        found[f"decode{name}_vs_snappy_python"] = in_python
        found[f"decode_and_find{name}_vs_snappy"] = finding_vs_snappy(body, rounds=FEW_ROUNDS)
        found[f"protobuf{name}_vs_snappy"] = protobuf_vs_snappy(body, rounds=FEW_ROUNDS // 6)
    return found


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print the ratios of both scanners for each shape."""
    for series_count, samples_each in SHAPES:
        body = body_of(series_count, samples_each)
        unpacked = len(snappy.decompress(body, LIMIT_BYTES))
        print(f"{series_count} series of {samples_each}: {unpacked:,} bytes, {len(body):,} packed")
        for compiled in (False, True):
            if compiled and scan_compiled is None:
                print("  there is no compiled part")
                continue
            ratio = decode_vs_snappy(body, compiled)
            name = "compiled" if compiled else "Python"
            print(f"  {name:9}{ratio:6.2f} times unpacking alone")
        print(f"  all found{finding_vs_snappy(body):6.2f} times")
        print(f"  protobuf {protobuf_vs_snappy(body, FEW_ROUNDS):6.2f} times")


if __name__ == "__main__":
    main()
