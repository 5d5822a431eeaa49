"""The push doors: what senders get for what they send, and that nothing good is lost."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from os_credits.decode import snappy
from os_credits.decode.remote_write_encode import encode_v1, encode_v2
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import (
    CAPTURES,
    EXEMPLARS,
    HISTOGRAMS,
    SAMPLES,
    V1,
    V2,
    gzipped,
    now_ms,
    vcpu_labels,
    vcpu_line,
    vcpu_v1,
    vcpu_v2,
)

RW = "/api/v1/write"
UNKNOWN = (("__name__", "go_goroutines"), ("job", "x"))


async def post(
    service: Service, path: str, body: Any = b"", *, key: str | None = "ingest", **more: Any
) -> tuple[int, Mapping[str, str], Any]:
    """Send a push; give status, headers and the JSON of the answer (None without a body)."""
    async with service.request(
        "POST", path, key=key, data=body, allow_redirects=False, **more
    ) as response:
        text = await response.text()
        return response.status, response.headers, json.loads(text) if text else None


async def stats(service: Service) -> dict[str, Any]:
    async with service.request("GET", "/stats", key="admin") as response:
        assert response.status == 200
        seen: dict[str, Any] = await response.json()
        return seen


@pytest.fixture
async def tight(database_url: str) -> AsyncIterator[Service]:
    """Give a service with small bounds."""
    settings = settings_for(
        database_url,
        body_bytes_max=10_000,
        decoded_bytes_max=100_000,
        bodies_bytes_max=100_000,
        body_timeout_seconds=2,
    )
    async with running(settings) as one:
        yield one


class TestRemoteWrite:
    async def test_a_1_0_push_is_acknowledged_and_rated(self, service: Service) -> None:
        status, headers, body = await post(service, RW, vcpu_v1(1, 3, 7), headers=V1)

        assert (status, body) == (204, None)
        assert not [name for name in headers if "Written" in name]
        async with asyncio.timeout(10):
            while (seen := await stats(service))["rated_samples"] < 3 or seen["queue_size"]:
                await asyncio.sleep(0.05)
        assert seen["accepted_samples"] == {"project_vcpu_usage": 3}

    async def test_a_2_0_push_is_answered_with_exact_counts(self, service: Service) -> None:
        status, headers, _ = await post(service, RW, vcpu_v2(1, 2), headers=V2)

        assert status == 204
        assert (headers[SAMPLES], headers[HISTOGRAMS], headers[EXEMPLARS]) == ("2", "0", "0")

    async def test_bodies_of_real_senders_are_taken(self, service: Service) -> None:
        for name, samples in (
            ("remote-write-1.0-prometheus-2.42.snappy", None),
            ("remote-write-1.0-prometheus-3.5-a.snappy", None),
            ("remote-write-2.0-prometheus-3.5-a.snappy", "63"),
            ("remote-write-2.0-prometheus-3.5-b.snappy", "9"),
            ("remote-write-2.0-metadata-a.snappy", "45"),
        ):
            body = (CAPTURES / name).read_bytes()
            status, headers, answer = await post(
                service, RW, body, headers=V1 if samples is None else V2
            )

            assert (status, answer) == (204, None), name
            assert headers.get(SAMPLES) == samples, name

    async def test_an_unknown_metric_is_counted_by_name_and_does_not_block_its_sender(
        self, service: Service
    ) -> None:
        body = encode_v2([(UNKNOWN, [(now_ms(), 1.0)]), (vcpu_labels(), [(now_ms(), 1.0)])])
        status, headers, _ = await post(service, RW, body, headers=V2)

        assert (status, headers[SAMPLES]) == (204, "2")
        assert (await stats(service))["unknown_metrics"] == {"go_goroutines": 1}

    async def test_a_message_without_series_is_a_success(self, service: Service) -> None:
        for headers in (V1, V2):
            assert (await post(service, RW, snappy.compress(b""), headers=headers))[0] == 204
            # Nothing at all is no snappy block.
            assert (await post(service, RW, b"", headers=headers))[0] == 400

    async def test_another_type_or_encoding_is_415(self, service: Service) -> None:
        for headers in (
            {"Content-Type": "application/json"},
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"},
            {**V1, "Content-Encoding": "gzip"},
            {**V2, "Content-Encoding": "zstd"},
            {**V1, "Content-Encoding": "snappy, gzip"},
        ):
            status, _, answer = await post(service, RW, b"garbage", headers=headers)

            assert (status, answer["code"]) == (415, "unsupported media type"), headers

    async def test_a_broken_body_is_refused_and_nothing_is_written(self, service: Service) -> None:
        broken = {
            "garbage": (b"no snappy", 400),
            "framed": (b"\xff\x06\x00\x00sNaPpYrest", 400),
            "no protobuf": (snappy.compress(b"\xff\xff\xff no protobuf"), 400),
            "claims 4 GiB": (b"\xff\xff\xff\xff\x0fab", 413),
            "endless length": (b"\xff\xff\xff\xff\xff\xff\xff", 400),
        }
        for what, (body, status) in broken.items():
            for headers in (V1, V2):
                got, replied, answer = await post(service, RW, body, headers=headers)

                assert got == status, what
                assert set(answer) == {"error", "code", "message"}
                assert replied.get(SAMPLES) == ("0" if headers is V2 else None)

    async def test_the_good_part_of_a_push_is_kept_and_the_bad_part_named(
        self, service: Service
    ) -> None:
        good = (vcpu_labels("alpha"), [(now_ms() - 1000, 1.0), (now_ms(), 2.0)])
        old = (vcpu_labels("beta"), [(now_ms() - 40 * 86_400_000, 1.0)])
        ahead = (vcpu_labels("gamma"), [(now_ms() + 3_600_000, 1.0)])
        nameless = ((("project_id", "x"),), [(now_ms(), 1.0)])
        status, headers, answer = await post(
            service, RW, encode_v2([nameless, good, old, ahead]), headers=V2
        )

        assert (status, headers[SAMPLES]) == (400, "2")
        assert "refused 3" in answer["message"]
        for place in ("series 1", "series 3", "series 4"):
            assert place in answer["message"]
        seen = await stats(service)
        assert seen["accepted_samples"] == {"project_vcpu_usage": 2}
        assert seen["refused_samples"] == {"labels": 1, "too_old": 1, "too_far_ahead": 1}

    async def test_samples_that_can_never_be_billed_count_as_written(
        self, service: Service
    ) -> None:
        status, headers, _ = await post(service, RW, vcpu_v2(1.0, -1.0, float("nan")), headers=V2)

        assert (status, headers[SAMPLES]) == (204, "3")
        assert (await stats(service))["set_aside_samples"] == {"nan": 1, "negative": 1}

    async def test_other_methods_are_405_and_no_path_is_ever_redirected(
        self, service: Service
    ) -> None:
        for path in (RW, "/write", "/api/v2/write", "/query"):
            method = "PUT" if path == "/query" else "GET"
            async with service.request(method, path, key="ingest") as response:
                assert response.status == 405
                allowed = {"/query": "GET,HEAD,POST"}.get(path, "POST")
                assert response.headers["Allow"] == allowed
                assert (await response.json())["error"] == "method not allowed"
            for slip in (f"{path}/", f"/{path}", path.upper()):
                status, headers, _ = await post(service, slip, vcpu_v1(1), headers=V1)
                assert status == 404
                assert "Location" not in headers


class TestLineProtocol:
    async def test_lines_are_taken_plain_and_gzipped_whatever_their_type(
        self, service: Service
    ) -> None:
        path = "/write?db=credits&precision=ns&rp=autogen&consistency="
        for content_type in ("", "text/plain; charset=utf-8", "x/y"):
            headers = {"Content-Type": content_type}
            plain, replied, _ = await post(service, path, vcpu_line(1).encode(), headers=headers)
            headers["Content-Encoding"] = "gzip"
            packed, _, _ = await post(service, path, gzipped(vcpu_line(2)), headers=headers)

            assert (plain, packed) == (204, 204)
            assert replied["X-Influxdb-Version"]
            assert replied["Request-Id"]
        assert (await stats(service))["accepted_samples"] == {"project_vcpu_usage": 6}

    async def test_a_chunked_body_is_read_to_its_end(self, service: Service) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(20):
                yield vcpu_line(number, project=f"p{number}").encode() + b"\n"

        status, _, _ = await post(service, "/write", chunks())

        assert status == 204
        assert (await stats(service))["accepted_samples"] == {"project_vcpu_usage": 20}

    async def test_nothing_to_store_is_a_success(self, service: Service) -> None:
        for body in (b"", b"\n", b"# only a comment\n\n"):
            assert (await post(service, "/write", body))[0] == 204

    async def test_a_partial_write_names_the_bad_line_and_keeps_the_others(
        self, service: Service
    ) -> None:
        body = f"{vcpu_line(1)}\nnot a point\n{vcpu_line(2, project='beta')}\n"
        status, headers, answer = await post(service, "/write", body.encode())

        assert status == 400
        assert answer["error"].startswith("partial write: line 2: ")
        assert answer["error"].endswith("dropped=1")
        assert headers["X-Influxdb-Error"] == answer["error"]
        assert (await stats(service))["accepted_samples"] == {"project_vcpu_usage": 2}

    async def test_a_body_without_one_good_line_is_refused_as_a_whole(
        self, service: Service
    ) -> None:
        status, headers, answer = await post(service, "/write", "böse\r\nX\x1b[0m: y".encode())

        assert status == 400
        assert answer["error"].startswith("line 1: unable to parse 'böse': ")
        assert headers["X-Influxdb-Error"].isascii()

    async def test_influxdb_2_speaks_token_and_knows_partial_writes(self, service: Service) -> None:
        token = {"Authorization": f"Token {service.keys['ingest']}"}
        path = "/api/v2/write?org=o&bucket=b&precision=ns"
        good, _, _ = await post(service, path, vcpu_line(1).encode(), key=None, headers=token)
        body = f"{vcpu_line(1)}\nbad".encode()
        partial, _, answer = await post(service, path, body, key=None, headers=token)
        bad, _, refusal = await post(service, path, b"bad", key=None, headers=token)

        assert (good, partial, bad) == (204, 422, 400)
        assert answer["code"] == "unprocessable entity"
        assert "partial write" in answer["message"]
        assert refusal["code"] == "invalid"

    async def test_an_unknown_precision_is_refused_and_nothing_is_stored(
        self, service: Service
    ) -> None:
        for path in (
            "/write?precision=q",
            "/write?precision=s&precision=ns",
            "/api/v2/write?precision=m",
        ):
            status, _, answer = await post(service, path, vcpu_line(1).encode())

            assert (status, answer["code"]) == (400, "invalid")
            assert "precision" in answer["message"]
        assert (await stats(service))["accepted_samples"] == {}

    async def test_another_encoding_is_415(self, service: Service) -> None:
        headers = {"Content-Encoding": "deflate"}
        status, _, answer = await post(service, "/write", b"x", headers=headers)

        assert (status, answer["code"]) == (415, "unsupported media type")

    async def test_broken_gzip_is_400(self, service: Service) -> None:
        headers = {"Content-Encoding": "gzip"}
        for body in (b"no gzip", gzipped(vcpu_line(1))[:-9]):
            status, _, answer = await post(service, "/write", body, headers=headers)

            assert (status, answer["code"]) == (400, "invalid")


class TestInfluxTools:
    async def test_ping_answers_everyone_in_their_own_way(self, service: Service) -> None:
        for agent, status in (
            ("curl/8", 200),
            ("InfluxDBShell/1.6.7", 204),
            ("Telegraf/1.24 Go/1.19", 204),
        ):
            headers = {"User-Agent": agent}
            async with service.request("GET", "/ping", headers=headers) as response:
                assert response.status == status
                assert response.headers["X-Influxdb-Version"]
        async with service.request("HEAD", "/ping") as response:
            assert response.status == 204
        async with service.request("GET", "/ping?verbose=true") as response:
            assert (await response.json())["version"] == response.headers["X-Influxdb-Version"]

    async def test_health_says_pass(self, service: Service) -> None:
        async with service.request("GET", "/health") as response:
            assert response.status == 200
            assert (await response.json())["status"] == "pass"

    async def test_create_database_is_answered_and_nothing_is_executed(
        self, service: Service
    ) -> None:
        sent = {"q": 'CREATE DATABASE "telegraf"'}
        status, _, answer = await post(service, "/query", sent)
        in_url, _, _ = await post(service, "/query?q=create%20database%20x")
        other, _, refusal = await post(service, "/query", {"q": "DROP DATABASE x"})
        none, _, _ = await post(service, "/query")

        assert (status, answer) == (200, {"results": [{"statement_id": 0}]})
        assert in_url == 200
        assert (other, refusal["code"]) == (400, "invalid")
        assert none == 400


class TestBounds:
    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_body_beyond_the_bound_is_413(self, tight: Service, chunked: bool) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 1000

        body = chunks() if chunked else b"x" * 20_000
        status, _, answer = await post(tight, "/write", body)

        assert (status, answer["code"]) == (413, "request too large")

    async def test_a_gzip_bomb_is_413(self, tight: Service) -> None:
        bomb = gzip.compress(b"\n" * 5_000_000)
        status, _, _ = await post(tight, "/write", bomb, headers={"Content-Encoding": "gzip"})

        assert len(bomb) < 10_000
        assert status == 413

    async def test_a_snappy_body_that_unpacks_beyond_the_bound_is_413(self, tight: Service) -> None:
        status, _, _ = await post(tight, RW, snappy.compress(bytes(150_000)), headers=V1)

        assert status == 413

    async def test_too_many_bytes_in_flight_are_503_and_given_back(self, tight: Service) -> None:
        big = b"\n" * 9000 + vcpu_line(1).encode()
        gate = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield big
            await gate.wait()

        held = [asyncio.create_task(post(tight, "/write", slow())) for _ in range(10)]
        async with asyncio.timeout(10):
            while (await verbose_stats(tight))["body_bytes_held"] < 10 * len(big):
                await asyncio.sleep(0.01)
        status, headers, answer = await post(tight, "/write", big)
        gate.set()
        results = await asyncio.gather(*held)

        assert (status, headers["Retry-After"]) == (503, "2")
        assert answer["error"] == "temporarily unavailable"
        assert [status for status, _, _ in results] == [204] * 10
        assert (await verbose_stats(tight))["body_bytes_held"] == 0

    async def test_the_bytes_in_flight_of_one_key_leave_room_for_the_others(
        self, database_url: str
    ) -> None:
        settings = settings_for(
            database_url, body_bytes_max=10_000, decoded_bytes_max=10_000, bodies_bytes_max=40_000
        )
        gate = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"\n" * 9000
            await gate.wait()

        async with running(settings) as service:
            held = [asyncio.create_task(post(service, "/write", slow())) for _ in range(2)]
            async with asyncio.timeout(10):
                while (await verbose_stats(service))["body_bytes_held"] < 18_000:
                    await asyncio.sleep(0.01)
            status, _, _ = await post(service, "/write", b"\n" * 9000)
            others, _, _ = await post(service, "/write", b"\n" * 9000, key="admin")
            gate.set()
            results = await asyncio.gather(*held)

            assert (status, others) == (503, 204)
            assert [status for status, _, _ in results] == [204] * 2
            assert (await post(service, "/write", b"\n" * 9000))[0] == 204

    async def test_one_push_of_the_largest_allowed_size_always_fits(self, tight: Service) -> None:
        body = gzipped("\n" * 99_000 + vcpu_line(1))
        status, _, _ = await post(tight, "/write", body, headers={"Content-Encoding": "gzip"})

        assert status == 204

    async def test_a_half_sent_body_is_asked_for_again_and_the_connection_closed(
        self, tight: Service
    ) -> None:
        host, port = tight.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /write HTTP/1.1\r\nHost: x\r\nX-API-Key: {tight.keys['ingest']}\r\n"
            "Content-Length: 500\r\n\r\nproject_vcpu".encode()
        )
        async with asyncio.timeout(3):
            answer = await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(15):
            await reader.read()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 2" in answer
        assert (await stats(tight))["accepted_samples"] == {}

    async def test_a_sender_that_hangs_up_halfway_leaves_nothing_behind(
        self, service: Service
    ) -> None:
        host, port = service.url.removeprefix("http://").split(":")
        for _ in range(5):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"POST /write HTTP/1.1\r\nHost: x\r\nX-API-Key: {service.keys['ingest']}\r\n"
                f"Content-Length: 500\r\n\r\n{vcpu_line(1)}\n".encode()
            )
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while (await verbose_stats(service))["body_bytes_held"]:
                await asyncio.sleep(0.02)

        assert (await stats(service))["accepted_samples"] == {}

    async def test_broken_chunks_are_400(self, service: Service) -> None:
        host, port = service.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /write HTTP/1.1\r\nHost: x\r\nX-API-Key: {service.keys['ingest']}\r\n"
            "Transfer-Encoding: chunked\r\n\r\nzz\r\nnonsense\r\n".encode()
        )
        async with asyncio.timeout(5):
            answer = await reader.readline()
        writer.close()

        assert answer.split()[1] == b"400"

    async def test_a_large_honest_push_is_taken(self, service: Service) -> None:
        series = [(vcpu_labels(f"p{number}"), [(now_ms(), 1.0)]) for number in range(5000)]
        status, _, _ = await post(service, RW, encode_v1(series), headers=V1)

        assert status == 204
        assert (await stats(service))["accepted_samples"] == {"project_vcpu_usage": 5000}


async def verbose_stats(service: Service) -> dict[str, Any]:
    async with service.request("GET", "/stats?verbose", key="admin") as response:
        seen: dict[str, Any] = await response.json()
        return seen
