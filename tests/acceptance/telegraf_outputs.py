"""Telegraf's outputs that can send to os_credits: what they send, and how they take the answer.

Written after the sources of Telegraf 1.39: plugins/outputs/{influxdb,influxdb_v2,http}. Bodies
are streamed without a length; a connection that fails or is silent for 5 s is an error. `lost`
counts metrics that an output gave up without Telegraf's buffer ever knowing, by status.
"""

import gzip
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

from tests.acceptance.telegraf_agent import WriteError, Written
from tests.acceptance.telegraf_metric import Metric, to_influx

USER_AGENT = "Telegraf/1.39.3 Go/1.26.0"
TIMEOUT = aiohttp.ClientTimeout(total=5)
CHUNK_BYTES = 8192
TEXT = "text/plain; charset=utf-8"
DONE_ALL_THE_SAME = (
    "retention policy not found",
    "hinted handoff queue not empty",
    "points beyond retention policy",
    "partial write",
    "unable to parse",
)
V2_SUCCESS = {200, 201, 202, 204, 206, 207, 208}
V2_OVERLOADED = {429, 502, 503, 504}
WAIT_SECONDS_MAX, RETRY_AFTER_SECONDS_MAX, UNREADABLE_RETRY_AFTER_SECONDS = 60, 600, 10


@dataclass(frozen=True)
class Reply:
    """An answer as it was read."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def is_json_or_blank(self) -> bool:
        """Tell whether Telegraf can look for an error's text in it."""
        try:
            json.loads(self.body or b"{}")
        except ValueError:
            return False
        return True

    def error(self) -> str:
        """Give the text of an InfluxDB 1 error, blank if there is none."""
        answer = json.loads(self.body or b"{}")
        return str(answer.get("error", "")) if isinstance(answer, dict) else ""


@dataclass
class Sender:
    """What the outputs share: where they send to, and the connections they keep."""

    session: aiohttp.ClientSession
    url: str
    lost: Counter[int] = field(default_factory=Counter, init=False)
    statuses: Counter[int] = field(default_factory=Counter, init=False)

    async def connect(self) -> None:
        """Nothing is asked before the first batch."""

    async def send(self, path: str, body: Any, **more: Any) -> Reply:
        """Post a body as Go does; raises WriteError if there is no answer."""
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **more.pop("headers", {})}
        try:
            async with self.session.post(
                self.url + path, data=body, headers=headers, timeout=TIMEOUT, **more
            ) as response:
                reply = Reply(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WriteError(repr(error)) from error
        self.statuses[reply.status] += 1
        return reply

    async def stream(self, path: str, body: bytes, **more: Any) -> Reply:
        """Post a body in pieces, without saying how long it will be."""
        return await self.send(path, _pieces(body), **more)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]


@dataclass
class InfluxDBOutput(Sender):
    """outputs.influxdb: InfluxDB 1."""

    password: str
    database: str = "telegraf"
    skip_database_creation: bool = False
    content_encoding: str = "gzip"
    warnings: list[str] = field(default_factory=list, init=False)

    async def connect(self) -> None:
        """Create the database; that it fails is only worth a warning."""
        if not self.skip_database_creation:
            await self._create_database()

    async def write(self, metrics: Sequence[Metric]) -> Written | None:
        """Take 204 for success, and any other 4xx with JSON or nothing for the end of a batch."""
        body, encoding = _packed(to_influx(metrics), self.content_encoding)
        reply = await self.stream(
            "/write",
            body,
            params={"db": self.database},
            headers={"Content-Type": TEXT, **encoding, **self._access()},
        )
        if reply.status == 204:
            return None
        if not reply.is_json_or_blank():
            raise WriteError(f"{reply.status}: {reply.body!r}")
        if "database not found" in reply.error():
            if self.skip_database_creation:
                self.lost[reply.status] += len(metrics)
                return None
            await self._create_database()
            raise WriteError("database created; retry write")
        if 400 <= reply.status < 500 or any(text in reply.error() for text in DONE_ALL_THE_SAME):
            self.lost[reply.status] += len(metrics)
            return None
        raise WriteError(f"{reply.status}: {reply.error()}")

    async def _create_database(self) -> None:
        name = self.database.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        form = {"q": f'CREATE DATABASE "{name}"'}
        try:
            reply = await self.send("/query", form, headers=self._access())
        except WriteError as error:
            self.warnings.append(str(error))
            return
        results = json.loads(reply.body).get("results", []) if reply.is_json_or_blank() else []
        if reply.status != 200 or any("error" in result for result in results):
            self.warnings.append(f"{reply.status}: {reply.body!r}")

    def _access(self) -> dict[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth("telegraf", self.password)}


class _TooLargeError(Exception):
    """The batch must be halved."""


class _GivenUpError(Exception):
    """The batch will never be taken."""


class _OverloadedError(WriteError):
    """The batch may come again, but not at once."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"again in {wait_seconds} s")
        self.wait_seconds = wait_seconds


@dataclass
class InfluxDBV2Output(Sender):
    """outputs.influxdb_v2: InfluxDB 2, with one writer."""

    token: str
    organization: str
    bucket: str
    content_encoding: str = "gzip"
    retry_at: float = field(default=0, init=False)
    retries: int = field(default=0, init=False)

    async def write(self, metrics: Sequence[Metric]) -> Written | None:
        """Wait as long as it was told; halve what is too large; keep what may pass later."""
        if time.monotonic() < self.retry_at:
            raise WriteError("retry time has not elapsed")
        accepted: set[int] = set()
        rejected: set[int] = set()
        await self._write(metrics, range(len(metrics)), accepted, rejected)
        if len(accepted) == len(metrics):
            return None
        return Written(frozenset(accepted), frozenset(rejected))

    async def _write(
        self,
        metrics: Sequence[Metric],
        places: range,
        accepted: set[int],
        rejected: set[int],
        parent: int = 0,
    ) -> None:
        """Send some of the metrics; a single one that is too large is kept, as the source says.

        A batch of one is halved once as well: then one half is nothing, and is sent.
        """
        try:
            await self._post(to_influx(metrics[place] for place in places))
        except _TooLargeError:
            if parent == 1:
                return
            middle = len(places) // 2
            for half in (places[:middle], places[middle:]):
                await self._write(metrics, half, accepted, rejected, len(places))
        except _GivenUpError:
            rejected.update(places)
        except _OverloadedError as error:
            if not parent:
                self.retry_at = time.monotonic() + error.wait_seconds
        except WriteError:
            pass
        else:
            accepted.update(places)

    async def _post(self, lines: bytes) -> None:
        body, encoding = _packed(lines, self.content_encoding) if lines else (b"", {})
        encoding = {"Content-Encoding": "gzip"} if self.content_encoding == "gzip" else encoding
        reply = await self.stream(
            "/api/v2/write",
            body,
            params={"org": self.organization, "bucket": self.bucket},
            headers={"Content-Type": TEXT, "Authorization": f"Token {self.token}", **encoding},
        )
        if reply.status in V2_SUCCESS:
            self.retries = 0
            return
        if reply.status == 413:
            raise _TooLargeError
        if reply.status in V2_OVERLOADED:
            self.retries += 1
            raise _OverloadedError(self._wait_seconds(reply))
        if 400 <= reply.status < 500 and reply.status not in {401, 403}:
            raise _GivenUpError
        raise WriteError(str(reply.status))

    def _wait_seconds(self, reply: Reply) -> float:
        wanted = reply.headers.get("Retry-After", "0")
        try:
            seconds = float(wanted)
        except ValueError:
            seconds = UNREADABLE_RETRY_AFTER_SECONDS
        own = min(self.retries**2 / 40, WAIT_SECONDS_MAX)
        return max(own, min(seconds, RETRY_AFTER_SECONDS_MAX))


@dataclass
class HTTPOutput(Sender):
    """outputs.http with any serializer; what is no success comes again for ever, by default."""

    serializer: Callable[[Sequence[Metric]], bytes] = to_influx
    headers: dict[str, str] = field(default_factory=dict)
    content_encoding: str = "identity"
    use_batch_format: bool = True
    non_retryable_statuscodes: frozenset[int] = frozenset()

    async def write(self, metrics: Sequence[Metric]) -> Written | None:
        """Post the batch, or each metric; the first failure ends it and keeps all of it."""
        for part in [metrics] if self.use_batch_format else [[metric] for metric in metrics]:
            body, encoding = _packed(self.serializer(part), self.content_encoding)
            post = self.stream if encoding else self.send
            reply = await post("", body, headers={"Content-Type": TEXT, **encoding, **self.headers})
            if 200 <= reply.status < 300:
                continue
            if reply.status not in self.non_retryable_statuscodes:
                raise WriteError(f"{reply.status}: {reply.body[:1024]!r}")
            self.lost[reply.status] += len(part)
        return None


def _packed(body: bytes, encoding: str) -> tuple[bytes, dict[str, str]]:
    """Pack a body, and name the packing in a header."""
    if encoding != "gzip":
        return body, {}
    return gzip.compress(body), {"Content-Encoding": "gzip"}
