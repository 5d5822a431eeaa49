"""The doors by which samples come in: remote write, line protocol and Telegraf's JSON.

A door reads bytes within bounds, unpacks and decodes them, and hands the push to
`flows/ingest.py`; it answers success only after the commit. A push of which a part was refused
is answered 400 with the reasons; its good part is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from os_credits.api.auth import access_of
from os_credits.api.bodies import Bodies
from os_credits.api.context import context_of
from os_credits.api.middleware import REPLY_HEADERS, answer
from os_credits.api.push_outcome import Outcome, outcome_of
from os_credits.api.remote_write_headers import (
    MEDIA_TYPE,
    RemoteWriteVersion,
    check_snappy,
    remote_write_version,
    written_headers,
)
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.decode import gzip, line_protocol, remote_write, snappy, telegraf_json
from os_credits.domain.sample import Labels, Push, Rejected
from os_credits.errors import InvalidInput, UnsupportedMedia

# What takes longer than some milliseconds is done beside the event loop, so that others are
# answered meanwhile: 16 KiB of gzip may unpack to 16 MiB.
UNPACKED_INLINE_BYTES_MAX = 16 * 1024
DECODED_INLINE_BYTES_MAX = 256 * 1024
# A thread would cost more than these take: snappy says what it holds, and a scan is short.
CLAIMED_INLINE_BYTES_MAX = SCANNED_INLINE_BYTES_MAX = 2 * 1024 * 1024
V2_PRECISIONS = ("", "ns", "us", "ms", "s")

routes = Routes("Push")

_ANSWERS = {
    204: Answer("Everything is durable; samples of unknown metrics are counted and ignored"),
    400: Answer("A part was refused (see the message), its good part is kept"),
    401: Answer("No API key, or one that is not known"),
    413: Answer("The body is larger than the limits allow"),
    415: Answer("A content type or encoding that this door does not speak"),
    503: Answer("Nothing was stored; send the same again"),
}


@dataclass(frozen=True, slots=True)
class Door:
    """How the bodies of one wire format are read; `counted_as` is what people call the door.

    `unpacks_quickly` tells whether unpacking a body takes next to no time; `scan` reads what is
    read in next to no time, and gives None for all else.
    """

    name: str
    counted_as: str
    unpack: Callable[[bytes, int], bytes]
    decode: Callable[[bytes, int], Push]
    labels_of: Callable[[bytes], Labels]
    takes_deltas: bool
    unpacks_quickly: Callable[[bytes], bool] = lambda body: len(body) <= UNPACKED_INLINE_BYTES_MAX
    scan: Callable[[bytes, int], Push | None] = lambda _unpacked, _pieces_max: None


def _is_small_snappy(body: bytes) -> bool:
    return snappy.claimed_length(body) <= CLAIMED_INLINE_BYTES_MAX


_REMOTE_WRITE = {
    RemoteWriteVersion.V1: Door(
        "remote_write_1",
        "remote_write_1",
        snappy.decompress,
        remote_write.decode_v1,
        remote_write.labels_of_v1,
        takes_deltas=False,
        unpacks_quickly=_is_small_snappy,
        scan=remote_write.scanned_v1,
    ),
    RemoteWriteVersion.V2: Door(
        "remote_write_2",
        "remote_write_2",
        snappy.decompress,
        remote_write.decode_v2,
        remote_write.labels_of_v2,
        takes_deltas=False,
        unpacks_quickly=_is_small_snappy,
    ),
}


@routes.add(
    "POST",
    "/api/v1/write",
    gate=Gate.INGEST,
    summary="Prometheus remote write 1.0 and 2.0",
    raw_body=(MEDIA_TYPE,),
    answers=_ANSWERS,
)
async def write_remote(request: web.Request) -> web.Response:
    """Take a snappy-compressed remote write message; `Content-Type` says which version."""
    version = remote_write_version(request.headers.get("Content-Type", ""))
    check_snappy(_encoding(request))
    push, outcome = await _take(request, _REMOTE_WRITE[version])
    if version is RemoteWriteVersion.V2:
        request[REPLY_HEADERS].update(
            written_headers(outcome.kept, push.histograms_written, push.exemplars_written)
        )
    if outcome.reasons:  # a bad exemplar is one, though no sample is refused with it
        return answer(request, 400, "invalid", f"refused {outcome.refused}: {outcome.reasons}")
    return web.Response(status=204)


@routes.add(
    "POST",
    "/write",
    gate=Gate.INGEST,
    summary="InfluxDB 1.x line protocol",
    raw_body=("text/plain", "application/octet-stream"),
    answers=_ANSWERS,
)
async def write_lines(request: web.Request) -> web.Response:
    """Take line protocol, plain or gzip, as Telegraf and InfluxDB subscriptions send it.

    `precision` is the unit of the timestamps: ns (default), u, ms, s, m or h. `db`, `rp` and
    `consistency` are accepted and mean nothing here.
    """
    return await _take_lines(
        request, _precision(request), partial=(400, "invalid"), counted_as="line_protocol_1"
    )


@routes.add(
    "POST",
    "/api/v2/write",
    gate=Gate.INGEST,
    summary="InfluxDB 2.x line protocol",
    raw_body=("text/plain", "application/octet-stream"),
    answers={**_ANSWERS, 400: Answer("All of it was refused"), 422: _ANSWERS[400]},
)
async def write_lines_v2(request: web.Request) -> web.Response:
    """Take line protocol, plain or gzip; the good lines of a push are kept though others are not.

    `precision` is the unit of the timestamps: ns (default), us, ms or s. `org` and `bucket`
    may be missing and mean nothing here: the key alone says which sites and meters it may feed.
    A refusal names the first bad line as `line`.
    """
    precision = _precision(request)
    if precision not in V2_PRECISIONS:
        raise InvalidInput("invalid precision; valid precision units are ns, us, ms, and s")
    return await _take_lines(
        request,
        precision,
        partial=(422, "unprocessable entity"),
        counted_as="line_protocol_2",
    )


async def _take_lines(
    request: web.Request, precision: str, *, partial: tuple[int, str], counted_as: str
) -> web.Response:
    line_protocol.decode(b"", precision)  # an unknown precision is refused before the body
    door = _text_door(
        request,
        "line_protocol",
        line_protocol.decode,
        line_protocol.labels_of,
        precision,
        counted_as,
    )
    return await _take_text(request, door, partial=partial)


@routes.add(
    "POST",
    "/telegraf",
    gate=Gate.INGEST,
    summary="JSON of Telegraf's outputs.http",
    raw_body=("application/json", "text/plain"),
    answers=_ANSWERS,
)
async def write_metrics(request: web.Request) -> web.Response:
    """Take the JSON that Telegraf's `outputs.http` writes, plain or gzip, by its default POST.

    `precision` is the unit of the timestamps: s (default), ms, us or ns. It must be what
    Telegraf's `json_timestamp_units` says. A `Content-Type` means nothing here. A refusal names
    the first bad metric as `metric`.
    """
    precision = _precision(request)
    telegraf_json.nanoseconds_per_unit(precision)  # an unknown one is refused before the body
    door = _text_door(
        request,
        "telegraf_json",
        telegraf_json.decode,
        telegraf_json.labels_of,
        precision,
        "telegraf_json",
    )
    return await _take_text(request, door, partial=(400, "invalid"))


def _text_door(
    request: web.Request,
    name: str,
    decode: Callable[[bytes, str, int], Push],
    labels_of: Callable[[bytes], Labels],
    precision: str,
    counted_as: str,
) -> Door:
    return Door(
        name,
        counted_as,
        _text_unpacker(_encoding(request)),
        lambda body, lines_max: decode(body, precision, lines_max),
        labels_of,
        takes_deltas=True,
    )


async def _take_text(request: web.Request, door: Door, *, partial: tuple[int, str]) -> web.Response:
    push, outcome = await _take(request, door)
    if not outcome.refused:
        return web.Response(status=204)
    place: dict[str, Any] = {push.unit: outcome.first_refused}
    if outcome.is_partial:
        message = f"partial write: {outcome.reasons} dropped={outcome.refused}"
        return answer(request, *partial, message, **place)
    return answer(request, 400, "invalid", outcome.reasons, **place)


async def _take(request: web.Request, door: Door) -> tuple[Push, Outcome]:
    """Read, unpack, decode and store one push; the memory it takes is counted all the while."""
    context = context_of(request)
    bodies = context.bodies
    with bodies.lease(access_of(request)) as lease:
        try:
            body = await bodies.read(request, lease)
            unpacked = await bodies.work_on(
                body, door.unpack, bodies.decoded_bytes_max, is_quick=door.unpacks_quickly(body)
            )
            del body
            lease.hold(len(unpacked))
            push = await _decoded(unpacked, door, bodies)
        except InvalidInput as error:
            # Nobody knows how many samples it would have held: the body counts as one.
            refused = Rejected("body", str(error))
            context.stats.note_refused("body", refused)
            context.stats.sources.note_body(access_of(request), door.counted_as, refused)
            raise
        receipt = await context.ingest.accept(
            push,
            labels_of=door.labels_of,
            door=door.name,
            access=access_of(request),
            deltas_allowed=door.takes_deltas,
            counted_as=door.counted_as,
        )
    return push, outcome_of(push, receipt)


async def _decoded(unpacked: bytes, door: Door, bodies: Bodies) -> Push:
    if len(unpacked) <= SCANNED_INLINE_BYTES_MAX:
        push = door.scan(unpacked, bodies.lines_max)
        if push is not None:
            return push
    is_quick = len(unpacked) <= DECODED_INLINE_BYTES_MAX
    return await bodies.work_on(unpacked, door.decode, bodies.lines_max, is_quick=is_quick)


def _encoding(request: web.Request) -> str:
    return ",".join(request.headers.getall("Content-Encoding", []))


def _text_unpacker(content_encoding: str) -> Callable[[bytes, int], bytes]:
    match content_encoding.strip().lower():
        case "" | "identity":
            return lambda body, _limit: body
        case "gzip":
            # Telegraf's outputs.influxdb_v2 names gzip before nothing at all: half a batch of one.
            return lambda body, limit: gzip.decompress(body, limit) if body else b""
    raise UnsupportedMedia("send gzip or identity", where="Content-Encoding")


def _precision(request: web.Request) -> str:
    sent = request.query.getall("precision", [""])
    if len(sent) > 1:
        raise InvalidInput("is given twice", where="precision")
    return sent[0]
