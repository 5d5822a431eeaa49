"""InfluxDB 1.x: `/write`, `/query` and `/ping` as its own clients and tools expect them."""

import base64
import gzip
import logging
import zlib

import pytest

from os_credits.domain.access import Scope
from tests.acceptance import stored
from tests.acceptance.conftest import Service
from tests.acceptance.senders import now_ms, vcpu_line
from tests.conformance.influx import V1_WRITE, ask, check_refusal, counting
from tests.conformance.line_bodies import NANOSECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

VCPU = "project_vcpu_usage"
INFLUXDB_TOOLS = (
    "InfluxDBShell/1.6.7",
    "InfluxDBClient",
    "influxdb-client-python/1.50.0",
    "influx/2.7.5 (linux)",
    "Telegraf/1.30.0 Go/1.22",
    "KapacitorInfluxDBClient",
)
OTHER_AGENTS = ("curl/8.5.0", "Mozilla/5.0 (X11)", "python-requests/2.32", "kube-probe/1.30")
CREATED = {"results": [{"statement_id": 0}]}
CREATE_DATABASE = (
    'CREATE DATABASE "telegraf"',
    "create database telegraf",
    "  CREATE\tDATABASE\n telegraf ; ",
    "CREATE DATABASE IF NOT EXISTS telegraf",
    'CREATE DATABASE "with \\"quotes\\", ; and \\\\ backslashes"',
    'CREATE DATABASE "données"',
    "CREATE DATABASE x WITH DURATION 30d",
    'CREATE DATABASE x WITH DURATION 1h30m REPLICATION 1 SHARD DURATION 30m NAME "y"',
    "CREATE DATABASE x WITH DURATION INF",
)
OTHER_QUERIES = (
    "",
    "SHOW DATABASES",
    "DROP DATABASE x",
    'SELECT * INTO x FROM "y"',
    "CREATE DATABASE",
    'CREATE DATABASE ""',
    'CREATE DATABASE "x',
    "CREATE DATABASE x y",
    "CREATE DATABASE x; DROP DATABASE y",
    "CREATE DATABASE x DROP DATABASE y",
    "CREATE DATABASE x;CREATE DATABASE y",
    'CREATE DATABASE x WITH DURATION 1d; DROP DATABASE "x"',
    "CREATE DATABASE x WITH",
    "CREATE DATABASE x WITH DURATION 1y",
    "CREATE USER x WITH PASSWORD 'sekret'",
    "CREATE DATABASE x -- DROP DATABASE y",
)


def basic(user: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


class TestWrite:
    async def test_success_is_204_without_a_body_and_with_influxdbs_headers(
        self, shared: Service
    ) -> None:
        replies = [await ask(shared, "POST", V1_WRITE, vcpu_line(number)) for number in (1, 2)]

        assert [(reply.status, reply.text) for reply in replies] == [(204, "")] * 2
        assert all(reply.headers["X-Influxdb-Version"] == "1.8.10" for reply in replies)
        assert all(reply.headers["X-Influxdb-Build"] == "OSS" for reply in replies)
        assert len({reply.headers["Request-Id"] for reply in replies}) == 2

    async def test_nothing_to_store_is_204(self, shared: Service) -> None:
        for body in (None, b"", b"\n", b"\r\n \n", b"# x", b"# x\n\n  # y\r\n", gzip.compress(b"")):
            packed = {"Content-Encoding": "gzip"} if body and body[0] == 0x1F else {}
            assert (await ask(shared, "POST", V1_WRITE, body, headers=packed)).status == 204

    async def test_a_partial_write_is_told_in_influxdbs_words(self, shared: Service) -> None:
        since = await counting(shared)
        bad = "not a point"
        body = f"{vcpu_line(1)}\n{bad}\n{vcpu_line(2)}\n{bad},böse\x1b\n"
        reply = await ask(shared, "POST", f"{V1_WRITE}?db=x", body.encode())

        assert check_refusal(reply, 400) == (
            "partial write: line 2: unable to parse 'not a point': field \"a\" has no value; "
            "line 4: unable to parse 'not a point,böse\\x1b': field \"a\" has no value dropped=2"
        )
        assert reply.json["line"] == 2
        assert (await since())["accepted"] == {VCPU: 2}

    async def test_a_body_of_which_nothing_can_be_kept_is_no_partial_write(
        self, shared: Service
    ) -> None:
        reply = await ask(shared, "POST", V1_WRITE, b"\nbad\nworse,\n")
        old = vcpu_line(1).rpartition(" ")[0] + " 1000000000"
        too_old = await ask(shared, "POST", V1_WRITE, old.encode())

        assert check_refusal(reply, 400) == (
            "line 2: unable to parse 'bad': missing fields; "
            "line 3: unable to parse 'worse,': missing tag name"
        )
        assert check_refusal(too_old, 400).startswith("line 1: 1970-01-01T00:00:01.000Z is older")
        assert (reply.json["line"], too_old.json["line"]) == (2, 1)

    async def test_many_long_faults_are_told_shortly_and_all_counted(self, shared: Service) -> None:
        bad = "\x1b" * 2000
        body = "\n".join([vcpu_line(1), *[bad] * 300])
        message = check_refusal(await ask(shared, "POST", V1_WRITE, body.encode()), 400)

        assert message.endswith("; and 295 more dropped=300")
        assert len(message) < 2000

    async def test_every_precision_is_the_unit_of_the_times(self, shared: Service) -> None:
        expected = {}
        for number, (precision, nanoseconds) in enumerate(NANOSECONDS.items()):
            time = now_ms() * 10**6 // nanoseconds
            line = f"{VCPU},project_id=unit{number} value=1 {time}"
            path = f"{V1_WRITE}?precision={precision}"
            assert (await ask(shared, "POST", path, line)).status == 204, precision
            expected[VCPU, f"unit{number}", "", time * nanoseconds // 10**6] = 1.0
        await shared.rated()

        projects = [place[1] for place in expected]
        assert await stored.samples(shared.settings.database_url, *projects) == expected

    async def test_an_unknown_precision_is_refused_before_anything_is_stored(
        self, shared: Service
    ) -> None:
        since = await counting(shared)
        for precision in ("q", "NS", "sec", "1s", "%20ns", "d", "%00"):
            path = f"{V1_WRITE}?db=x&precision={precision}"
            message = check_refusal(await ask(shared, "POST", path, vcpu_line(1)), 400)
            assert message.startswith('invalid precision "'), precision
        twice = f"{V1_WRITE}?precision=s&precision=ns"
        assert check_refusal(await ask(shared, "POST", twice, vcpu_line(1)), 400)

        assert (await since())["accepted"] == {}

    async def test_other_parameters_mean_nothing(self, shared: Service) -> None:
        for query in (
            "db=",
            "db=x&db=y",
            "db=%00%FF&rp=nowhere",
            "consistency=all&rp=autogen",
            "consistency=nonsense",
            "u=root&p=root&pretty=true",
        ):
            assert (await ask(shared, "POST", f"{V1_WRITE}?{query}", vcpu_line(1))).status == 204

    async def test_other_methods_are_405_with_allow(self, shared: Service) -> None:
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
            reply = await ask(shared, method, V1_WRITE)

            assert (reply.status, reply.headers["Allow"]) == (405, "POST"), method
            assert reply.headers["X-Influxdb-Version"]
            if method != "HEAD":
                assert reply.json["code"] == "method not allowed"

    async def test_whatever_the_content_type_says_a_body_is_line_protocol(
        self, shared: Service
    ) -> None:
        since = await counting(shared)
        types = ("", "text/plain", "application/octet-stream", "application/json", "x", "multipart")
        for content_type in (*types, "application/x-www-form-urlencoded", "text/plain;charset=x"):
            headers = {"Content-Type": content_type}
            reply = await ask(shared, "POST", V1_WRITE, vcpu_line(1).encode(), headers=headers)
            assert reply.status == 204, content_type

        assert (await since())["accepted"] == {VCPU: len(types) + 2}

    async def test_gzip_of_any_number_of_members_and_identity_are_taken(
        self, shared: Service
    ) -> None:
        since = await counting(shared)
        lines = [vcpu_line(number, project=f"p{number}") + "\n" for number in range(6)]
        cut = "".join(lines[3:]).encode()
        for encoding, body in (
            ("gzip", gzip.compress(lines[0].encode())),
            ("GZIP", b"".join(gzip.compress(line.encode()) for line in lines[1:3])),
            ("gzip", gzip.compress(cut[:50]) + gzip.compress(b"") + gzip.compress(cut[50:])),
        ):
            headers = {"Content-Encoding": encoding}
            assert (await ask(shared, "POST", V1_WRITE, body, headers=headers)).status == 204
        headers = {"Content-Encoding": "identity"}
        assert (await ask(shared, "POST", V1_WRITE, lines[0], headers=headers)).status == 204

        assert (await since())["accepted"] == {VCPU: 7}

    async def test_another_encoding_is_415_and_broken_gzip_400(self, shared: Service) -> None:
        since = await counting(shared)
        line = vcpu_line(1).encode()
        encodings = ("deflate", "zstd", "br", "snappy", "gzip, gzip", "x-gzip", "gzip;q=1")
        for encoding in encodings:
            headers = {"Content-Encoding": encoding}
            reply = await ask(shared, "POST", V1_WRITE, zlib.compress(line), headers=headers)
            check_refusal(reply, 415)
        packed = gzip.compress(line)
        headers = {"Content-Encoding": "gzip"}
        for body in (line, packed[:-1], packed[:-9], packed + b"x", packed[:20], b"\x1f\x8b"):
            check_refusal(await ask(shared, "POST", V1_WRITE, body, headers=headers), 400)

        assert (await since())["accepted"] == {}

    async def test_no_label_makes_telegraf_send_a_batch_for_ever(self, shared: Service) -> None:
        """Its outputs.influxdb does so after these words, and a tag's value may be anyone's."""
        words = "database not found"
        key = await shared.new_key(Scope.INGEST, sites=frozenset({"1"}))
        tag = words.replace(" ", "\\ ")
        line = vcpu_line(1, site=tag)
        for body in (line, f"{vcpu_line(1)}\n{words}", f"m {tag}=", f'm x="{words}"y'):
            reply = await ask(shared, "POST", V1_WRITE, body, key=key)

            message = check_refusal(reply, 400)
            assert "database_not_found" in message or "database\\ not" in message
            assert words not in reply.text + reply.headers["X-Influxdb-Error"]


class TestCredentials:
    async def test_a_key_is_taken_as_password_token_and_bearer(self, shared: Service) -> None:
        key = shared.keys["ingest"]
        for headers in (
            basic("telegraf", key),
            basic("", key),
            {"Authorization": f"Token {key}"},
            {"Authorization": f"Token telegraf:{key}"},
            {"Authorization": f"Bearer {key}"},
        ):
            reply = await ask(shared, "POST", V1_WRITE, b"", key=None, headers=headers)
            assert reply.status == 204, headers

    async def test_without_one_the_answer_is_401_and_asks_for_basic(self, shared: Service) -> None:
        for headers in ({}, basic("telegraf", "wrong"), {"Authorization": "Token wrong"}):
            reply = await ask(shared, "POST", V1_WRITE, vcpu_line(1), key=None, headers=headers)

            check_refusal(reply, 401)
            assert 'Basic realm="os_credits"' in reply.headers.getall("WWW-Authenticate")  # type: ignore[attr-defined]

    async def test_a_key_in_the_url_is_never_taken_and_never_logged(
        self, shared: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        key = shared.keys["ingest"]
        with caplog.at_level(logging.DEBUG):
            for query in (f"u=x&p={key}", f"db=x&p={key}&u=", f"token={key}", f"api_key={key}"):
                path = f"{V1_WRITE}?{query}"
                check_refusal(await ask(shared, "POST", path, vcpu_line(1), key=None), 401)
                assert (await ask(shared, "POST", path, vcpu_line(1))).status == 204
                for other in ("/query", "/ping", "/health", "/write/"):
                    await ask(shared, "GET", f"{other}?{query}", key=None)

        assert "'path': '/write'" in caplog.text
        assert key not in caplog.text


class TestQuery:
    @pytest.mark.parametrize("in_form", [True, False])
    async def test_create_database_is_answered_as_done(
        self, shared: Service, in_form: bool
    ) -> None:
        for statement in CREATE_DATABASE:
            more = {"data": {"q": statement}} if in_form else {"params": {"q": statement}}
            async with shared.request("POST", "/query", key="ingest", **more) as response:
                assert (response.status, await response.json()) == (200, CREATED), statement

    async def test_any_other_query_is_refused(self, shared: Service) -> None:
        for statement in OTHER_QUERIES:
            message = check_refusal(await ask(shared, "POST", "/query", {"q": statement}), 400)
            assert ("CREATE DATABASE" in message) == bool(statement), statement
        twice = b"q=CREATE+DATABASE+x&q=DROP+DATABASE+y"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for body in (twice, b"\xff\xfe", b"&" * 100, b"q", b"", b"x=1&" * 100):
            check_refusal(await ask(shared, "POST", "/query", body, headers=headers), 400)

    async def test_queries_by_get_are_refused_in_words_that_clients_show(
        self, shared: Service
    ) -> None:
        for query in ("q=SHOW+DATABASES", "q=CREATE+DATABASE+x", "", "db=x&q=SELECT+1&epoch=ns"):
            check_refusal(await ask(shared, "GET", f"/query?{query}"), 400)
        check_refusal(await ask(shared, "GET", "/query?q=SHOW+DATABASES", key=None), 401)
        assert (await ask(shared, "PUT", "/query")).status == 405

    async def test_a_long_query_is_413(self, shared: Service) -> None:
        async def chunked() -> object:
            for _ in range(100):
                yield b"q=" + b"x" * 1000

        for body in (b"q=" + b"x" * 65_536, chunked()):
            check_refusal(await ask(shared, "POST", "/query", body), 413)


class TestPing:
    async def test_influxdbs_tools_get_204_and_everyone_else_pong(self, shared: Service) -> None:
        for agent in INFLUXDB_TOOLS:
            reply = await ask(shared, "GET", "/ping", key=None, headers={"User-Agent": agent})
            assert (reply.status, reply.text) == (204, ""), agent
            assert reply.headers["X-Influxdb-Version"] == "1.8.10"
        for agent in OTHER_AGENTS:
            reply = await ask(shared, "GET", "/ping", key=None, headers={"User-Agent": agent})
            assert (reply.status, reply.text) == (200, "Pong"), agent
            assert reply.headers["X-Influxdb-Version"] == "1.8.10"
        waiting = await ask(shared, "GET", "/ping?wait_for_leader=5s", key=None)
        python = {"User-Agent": "python-requests/2.32", "Accept": "application/x-msgpack"}
        client = await ask(shared, "GET", "/ping", key=None, headers=python)
        assert (waiting.status, client.status) == (204, 204)

    async def test_head_is_204_for_everyone(self, shared: Service) -> None:
        reply = await ask(shared, "HEAD", "/ping", key=None)

        assert (reply.status, reply.headers["X-Influxdb-Version"]) == (204, "1.8.10")

    async def test_verbose_gives_the_version_as_json(self, shared: Service) -> None:
        for verbose, status in (("true", 200), ("1", 200), ("0", 204), ("false", 204), ("", 204)):
            headers = {"User-Agent": "InfluxDBShell/1.6.7"}
            path = f"/ping?verbose={verbose}"
            reply = await ask(shared, "GET", path, key=None, headers=headers)
            assert reply.status == status, verbose
            assert reply.json == ({"version": "1.8.10"} if status == 200 else None)
