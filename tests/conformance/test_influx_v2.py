"""InfluxDB 2.x: `/api/v2/write` and `/health` as its own clients expect them."""

import gzip

import pytest

from os_credits import __version__
from os_credits.domain.access import Scope
from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import now_ms, vcpu_line
from tests.conformance.influx import V2_WRITE, ask, check_refusal, counting

pytestmark = pytest.mark.asyncio(loop_scope="module")

VCPU = "project_vcpu_usage"


class TestWrite:
    async def test_a_token_and_any_organisation_and_bucket_are_taken(self, shared: Service) -> None:
        """InfluxDB asks for both; here the key says what may be fed."""
        since = await counting(shared)
        token = {"Authorization": f"Token {shared.keys['ingest']}"}
        queries = ("?org=o&bucket=b&precision=ns", "?org=&bucket=", "", "?bucket=x/y&orgID=0")
        for query in queries:
            path = f"{V2_WRITE}{query}"
            reply = await ask(shared, "POST", path, vcpu_line(1), key=None, headers=token)

            assert (reply.status, reply.text) == (204, ""), query
            assert reply.headers["X-Influxdb-Version"]

        assert (await since())["accepted"] == {VCPU: len(queries)}

    async def test_nothing_to_store_is_204(self, shared: Service) -> None:
        """InfluxDB 2 answers 400 to an empty body; a sender has nothing to mend there."""
        for body in (b"", b"\n", b"# x\n"):
            assert (await ask(shared, "POST", V2_WRITE, body)).status == 204

    async def test_a_partial_write_is_422_and_keeps_the_good_lines(self, shared: Service) -> None:
        since = await counting(shared)
        body = f'{vcpu_line(1)}\nm s="\n",x=nan\n{vcpu_line(2)}\nbad'
        reply = await ask(shared, "POST", V2_WRITE, body)

        assert check_refusal(reply, 422) == (
            'partial write: line 2: unable to parse \'m s="\\n",x=nan\': invalid number "nan"; '
            "line 5: unable to parse 'bad': missing fields dropped=2"
        )
        assert reply.json["line"] == 2
        assert (await since())["accepted"] == {VCPU: 2}

    async def test_a_sample_refused_for_its_time_is_told_by_its_line(self, shared: Service) -> None:
        old = vcpu_line(1).rpartition(" ")[0] + " 1"
        reply = await ask(shared, "POST", V2_WRITE, f"# x\n{vcpu_line(1)}\n{old}\nbad")

        assert check_refusal(reply, 422)
        assert reply.json["line"] == 3

    async def test_a_body_without_one_good_line_is_400_with_the_first_bad_line(
        self, shared: Service
    ) -> None:
        reply = await ask(shared, "POST", V2_WRITE, b"# x\nbad\nbad\n")

        assert check_refusal(reply, 400).startswith("line 2: unable to parse 'bad': ")
        assert reply.json["line"] == 2

    async def test_only_the_precisions_of_influxdb_2_are_taken(self, shared: Service) -> None:
        expected = {}
        for number, (precision, nanoseconds) in enumerate(
            {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}.items()
        ):
            time = now_ms() * 10**6 // nanoseconds
            line = f"{VCPU},project_id=unit{number} value=1 {time}"
            path = f"{V2_WRITE}?precision={precision}"
            assert (await ask(shared, "POST", path, line)).status == 204, precision
            expected[VCPU, f"unit{number}", "", time * nanoseconds // 10**6] = 1.0
        for precision in ("n", "u", "µ", "m", "h", "q", "NS", "ns&precision=s"):
            path = f"{V2_WRITE}?precision={precision}"
            message = check_refusal(await ask(shared, "POST", path, vcpu_line(1)), 400)
            assert "precision" in message
        await shared.rated()

        projects = [place[1] for place in expected]
        assert await stored.samples(shared.settings.database_url, *projects) == expected

    async def test_without_a_known_key_it_is_401_and_without_the_scope_403(
        self, shared: Service
    ) -> None:
        for key in (None, "osc_wrong"):
            check_refusal(await ask(shared, "POST", V2_WRITE, vcpu_line(1), key=key), 401)
        read_only = await shared.new_key(Scope.READ)
        check_refusal(await ask(shared, "POST", V2_WRITE, vcpu_line(1), key=read_only), 403)

    async def test_what_is_no_line_protocol_by_its_encoding_is_415(self, shared: Service) -> None:
        for encoding in ("deflate", "zstd", "snappy", "gzip, identity"):
            headers = {"Content-Encoding": encoding}
            check_refusal(await ask(shared, "POST", V2_WRITE, b"x", headers=headers), 415)

    async def test_a_body_beyond_the_bounds_is_413_and_its_half_is_taken(
        self, database_url: str
    ) -> None:
        """Telegraf halves a batch that is answered so."""
        bounds = {"body_bytes_max": 10_000, "decoded_bytes_max": 20_000, "bodies_bytes_max": 40_000}
        gzipped = {"Content-Encoding": "gzip"}
        bomb = gzip.compress(b"\n" * 20_001)
        async with running(settings_for(database_url, **bounds)) as tight:
            whole = await ask(tight, "POST", V2_WRITE, b"\n" * 10_001)
            half = await ask(tight, "POST", V2_WRITE, b"\n" * 5000)
            packed = await ask(tight, "POST", V2_WRITE, bomb, headers=gzipped)

        assert check_refusal(whole, 413)
        assert check_refusal(packed, 413)
        assert half.status == 204

    async def test_get_is_405(self, shared: Service) -> None:
        reply = await ask(shared, "GET", V2_WRITE)

        assert (reply.status, reply.headers["Allow"]) == (405, "POST")
        assert reply.json["code"] == "method not allowed"


class TestHealth:
    async def test_it_passes_in_the_words_of_influxdb_2(self, shared: Service) -> None:
        reply = await ask(shared, "GET", "/health", key=None)
        head = await ask(shared, "HEAD", "/health", key=None)

        assert (reply.status, reply.json) == (
            200,
            {
                "name": "os_credits",
                "message": "ready for queries and writes",
                "status": "pass",
                "checks": [],
                "version": __version__,
            },
        )
        assert (head.status, head.text) == (200, "")

    async def test_it_fails_while_the_database_is_away(self, unused_tcp_port: int) -> None:
        url = f"postgresql://x@127.0.0.1:{unused_tcp_port}/x"
        async with running(settings_for(url), ready=False) as service:
            reply = await ask(service, "GET", "/health", key=None)
            push = await ask(service, "POST", V2_WRITE, vcpu_line(1), key="osc_x")

        assert (reply.status, reply.json["status"]) == (503, "fail")
        assert check_refusal(push, 503) == "temporarily unavailable"
        assert push.headers["Retry-After"] == "15"  # times six is what its clients bear
