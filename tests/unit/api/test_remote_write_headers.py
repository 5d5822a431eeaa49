"""Which remote write version a request claims, by its headers alone."""

import pytest

from os_credits.api.remote_write_headers import (
    RemoteWriteVersion,
    check_snappy,
    nothing_written,
    remote_write_version,
)
from os_credits.errors import UnsupportedMedia

V1, V2 = RemoteWriteVersion


@pytest.mark.parametrize(
    "content_type,version",
    [
        ("", V1),
        ("application/x-protobuf", V1),
        ("Application/X-Protobuf", V1),
        ("application/x-protobuf;proto=prometheus.WriteRequest", V1),
        ("application/x-protobuf; proto = prometheus.WriteRequest ; x=y", V1),
        ("application/x-protobuf;", V1),
        ("application/x-protobuf;proto=prometheus.WriteRequest;proto=prometheus.WriteRequest", V1),
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", V2),
        ('application/x-protobuf; PROTO="io.prometheus.write.v2.Request"', V2),
    ],
)
def test_the_content_type_chooses_the_version(
    content_type: str, version: RemoteWriteVersion
) -> None:
    assert remote_write_version(content_type) is version


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/protobuf",
        "text/plain; proto=prometheus.WriteRequest",
        "application/x-protobuf;proto=",
        "application/x-protobuf;proto=io.prometheus.write.v2.request",
        "application/x-protobuf;proto",
        "application/x-protobuf;proto=prometheus.WriteRequest;proto=other",
        "application/x-protobuf;proto=prometheus.WriteRequest;proto=io.prometheus.write.v2.Request",
    ],
)
def test_everything_else_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        remote_write_version(content_type)


@pytest.mark.parametrize("encoding", ["", "snappy", "Snappy", " snappy "])
def test_snappy_is_meant_also_by_no_encoding(encoding: str) -> None:
    check_snappy(encoding)


@pytest.mark.parametrize("encoding", ["gzip", "identity", "snappy,gzip", "snappy-framed"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMedia):
        check_snappy(encoding)


def test_only_version_2_is_told_what_was_written() -> None:
    zeros = nothing_written(
        {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
    )

    assert list(zeros.values()) == ["0", "0", "0"]
    assert nothing_written({"Content-Type": "application/x-protobuf"}) == {}
    assert nothing_written({"Content-Type": "text/html"}) == {}
