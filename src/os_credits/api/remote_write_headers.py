"""Which remote write message a request claims to hold, and what its answer must count.

The version is chosen by `Content-Type` only, never by looking into the body: a 2.0 body read
as 1.0 holds nothing and breaks nothing, so its samples would be lost without a trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from os_credits.errors import UnsupportedMedia

MEDIA_TYPE = "application/x-protobuf"


class RemoteWriteVersion(StrEnum):
    """The protobuf message of a body, by the name that `proto=` gives it."""

    V1 = "prometheus.WriteRequest"
    """Remote write 1.0."""
    V2 = "io.prometheus.write.v2.Request"
    """Remote write 2.0."""


def remote_write_version(content_type: str) -> RemoteWriteVersion:
    """Read a `Content-Type`; none at all means 1.0. Raises UnsupportedMedia."""
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    if media_type.lower() not in ("", MEDIA_TYPE):
        raise UnsupportedMedia(f"send {MEDIA_TYPE}", where="Content-Type")
    named = [one for one in map(_named, parameters) if one is not None]
    if len(set(named)) > 1:
        raise UnsupportedMedia("proto is given twice", where="Content-Type")
    return named[0] if named else RemoteWriteVersion.V1


def _named(parameter: str) -> RemoteWriteVersion | None:
    """Read a parameter of a `Content-Type`; only `proto` says something."""
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "proto":
        return None
    try:
        return RemoteWriteVersion(value.strip().strip('"'))
    except ValueError:
        known = " or ".join(RemoteWriteVersion)
        raise UnsupportedMedia(f"proto must be {known}", where="Content-Type") from None


def check_snappy(content_encoding: str) -> None:
    """Raise UnsupportedMedia for anything but snappy, which is also meant by no header."""
    if content_encoding.strip().lower() not in ("", "snappy"):
        raise UnsupportedMedia("send snappy (block format)", where="Content-Encoding")


def written_headers(samples: int, histograms: int, exemplars: int) -> dict[str, str]:
    """Give the counts that every answer to 2.0, and none to 1.0, must carry."""
    return {
        "X-Prometheus-Remote-Write-Samples-Written": str(samples),
        "X-Prometheus-Remote-Write-Histograms-Written": str(histograms),
        "X-Prometheus-Remote-Write-Exemplars-Written": str(exemplars),
    }


def nothing_written(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the counts of a request that is answered before anything was accepted."""
    try:
        version = remote_write_version(headers.get("Content-Type", ""))
    except UnsupportedMedia:
        return {}
    return written_headers(0, 0, 0) if version is RemoteWriteVersion.V2 else {}
