"""Bodies of real senders, as they stood on the wire, see `tests/data/README.md`."""

from pathlib import Path

import pytest

from os_credits.decode import remote_write, snappy
from os_credits.domain.sample import Push, is_stale

CAPTURES = Path(__file__).parents[2] / "data" / "remote_write"

METRICS = {
    "project_mb_usage",
    "project_vcpu_usage_total",
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
    "up",
}


def decoded(name: str) -> Push:
    body = snappy.decompress((CAPTURES / name).read_bytes(), 100_000)
    return (remote_write.decode_v2 if "write-2.0" in name else remote_write.decode_v1)(body)


@pytest.mark.parametrize(
    "name, sample_count, series_count",
    [
        ("remote-write-1.0-prometheus-2.42.snappy", 55, 11),
        ("remote-write-1.0-prometheus-3.5-a.snappy", 9, 9),
        ("remote-write-1.0-prometheus-3.5-b.snappy", 9, 9),
        ("remote-write-2.0-prometheus-3.5-a.snappy", 63, 9),
        ("remote-write-2.0-prometheus-3.5-b.snappy", 9, 9),
        ("remote-write-2.0-metadata-a.snappy", 45, 9),
        ("remote-write-2.0-metadata-b.snappy", 14, 7),
    ],
)
def test_a_real_body_is_read_whole(name: str, sample_count: int, series_count: int) -> None:
    push = decoded(name)
    labels = [dict(remote_write.labels_of(key)) for key in push.keys]

    assert (len(push), len(set(push.keys)), push.rejected) == (sample_count, series_count, [])
    assert {names["__name__"] for names in labels} == METRICS
    assert all(names["cluster"] == "lab" for names in labels)


def test_a_real_sample_is_read_to_the_last_bit() -> None:
    push = decoded("remote-write-1.0-prometheus-2.42.snappy")

    assert remote_write.labels_of(push.keys[0]) == (
        ("__name__", "project_vcpu_usage_total"),
        ("cluster", "lab"),
        ("instance", "127.0.0.1:19191"),
        ("job", "projects"),
        ("location_id", "1"),
        ("project_name", "alpha"),
        ("replica", "a"),
    )
    assert (push.times_ms[0], push.values[0].hex()) == (1_795_311_049_127, "0x1.f400df6d641fep+9")


def test_real_stale_markers_are_recognised() -> None:
    push = decoded("remote-write-2.0-metadata-a.snappy")

    assert is_stale(push.values).sum() == 2
