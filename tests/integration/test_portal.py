"""A portal that says what projects are granted: followed exactly once, whatever it does."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from os_credits.collect.portal import Portal
from os_credits.domain.amount import credits_of
from os_credits.domain.finding import State
from os_credits.domain.lot import LotKind
from os_credits.domain.period import floor_hour
from os_credits.domain.project import ProjectKey
from os_credits.errors import Unavailable
from os_credits.flows.accounts import instruct
from os_credits.flows.diagnose import judge_portal
from os_credits.flows.lots import start_lot
from os_credits.flows.meters import MeterFile
from os_credits.flows.portal import PortalFollower
from os_credits.flows.projects import create_project
from os_credits.store import balances, batches, grants
from os_credits.store import portal as store
from os_credits.store.pool import connection, transaction
from tests.core import WATCH, Core, opened_core
from tests.portal import KEY, FakePortal, open_portal

INTERVAL = timedelta(minutes=5)
CLAIM = timedelta(minutes=1)


@dataclass
class Scene:
    """A core, a portal, and a copy of the service that asks it."""

    core: Core
    portal: FakePortal

    def follower(self, *, timeout_seconds: float = 5) -> PortalFollower:
        """Make one more copy."""
        url = self.portal.url
        return PortalFollower(
            self.core.pool,
            lambda: Portal(url, KEY, timeout_seconds=timeout_seconds),
            WATCH,
            interval=INTERVAL,
        )

    async def project(self, name: str, **more: str) -> int:
        """Create a project."""
        key = ProjectKey(more.get("site", ""), more.get("external_id", ""), "", name)
        project, _ = await create_project(self.core.pool, key)
        return project.id

    async def ask(self, **answers: str) -> int:
        """Let everything be due, and a new copy ask; gives how many answers there were."""
        self.portal.answers |= answers
        await self.make_due()
        return await self.follower().run()

    async def make_due(self) -> None:
        """Let the time pass after which projects are asked for again."""
        async with connection(self.core.pool) as conn:
            await conn.execute("UPDATE portal_state SET next_poll_at = clock_timestamp()")

    async def entries(self, project_id: int) -> list[tuple[str, Decimal]]:
        """Give kind and amount of a project's entries, all of which the portal made."""
        async with connection(self.core.pool) as conn:
            rows = await conn.fetch(
                "SELECT kind, amount, author FROM entry WHERE project_id = $1 ORDER BY sequence",
                project_id,
            )
        assert {row["author"] for row in rows} <= {"portal"}
        return [(row["kind"], row["amount"]) for row in rows]

    async def left(self, project_id: int) -> Decimal:
        """Give a project's balance."""
        async with connection(self.core.pool) as conn:
            return (await balances.read_balances(conn, [project_id]))[project_id].current

    async def state(self, project_id: int) -> Any:
        """Give what is stored of a project."""
        async with connection(self.core.pool) as conn:
            return await conn.fetchrow(
                "SELECT *, next_poll_at - clock_timestamp() AS wait FROM portal_state"
                " WHERE project_id = $1",
                project_id,
            )


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with opened_core(database_url, MeterFile((), ())) as core, open_portal() as portal:
        yield Scene(core, portal)


async def test_a_rise_is_a_grant_and_a_fall_an_adjustment(scene: Scene) -> None:
    alpha = await scene.project("alpha")

    for answer in ("100", "100.0", "60.5", "0", "80.25\n"):
        assert await scene.ask(alpha=answer) == 1
        assert await scene.left(alpha) == Decimal(answer)

    assert await scene.entries(alpha) == [
        ("grant", Decimal(100)),
        ("adjustment", Decimal("-39.5")),
        ("adjustment", Decimal("-60.5")),
        ("grant", Decimal("80.25")),
    ]
    state = await scene.state(alpha)
    assert (state["granted"], state["change_count"]) == (Decimal("80.25"), 4)
    assert INTERVAL * 0.9 - timedelta(seconds=30) < state["wait"] <= INTERVAL


async def test_a_project_is_asked_for_once_in_an_interval(scene: Scene) -> None:
    await scene.project("alpha")
    await scene.ask(alpha="1")

    assert await scene.follower().run() == 0

    assert scene.portal.asked == ["alpha"]


NO_NUMBERS = [
    "", "null", "<html><body>0</body></html>", "NaN", "-5", "Infinity", "1e400", "1,5", '"5"',
    "1_0", "٣", "1 2", "0x10", "[0]", "1e99", "0" * 101, "0\n" * 2_000_000,
]  # fmt: skip


async def test_what_is_no_number_changes_nothing_and_is_told(
    scene: Scene, subtests: pytest.Subtests
) -> None:
    alpha, beta = await scene.project("alpha"), await scene.project("beta")
    await scene.ask(alpha="100", beta="1")
    for count, text in enumerate(NO_NUMBERS, 1):
        with subtests.test(text=text[:20]):
            assert await scene.ask(alpha=text) == 1  # the other project's

            state = await scene.state(alpha)
            assert state["last_error"].startswith("answered ")
            assert state["failure_count"] == count
            assert state["granted"] == 100
            # At least the interval, then up to an hour; a part of it is left to chance.
            assert INTERVAL * 0.9 - timedelta(seconds=30) < state["wait"] <= timedelta(hours=1)
    assert await scene.left(alpha) == 100

    await scene.ask(alpha="101")

    state = await scene.state(alpha)
    assert (state["last_error"], state["failure_count"]) == ("", 0)
    assert await scene.left(alpha) == 101
    assert await scene.left(beta) == 1


OUTAGES: list[dict[str, Any]] = [
    {"status": 500}, {"status": 503}, {"status": 401}, {"status": 429}, {"status": 204},
    {"status": 302, "headers": {"Location": "/secure/granted-credits/?project_name=rich"}},
    {"seconds": 2},
]  # fmt: skip


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
async def test_an_outage_changes_nothing_and_leaves_the_portal_in_peace(
    scene: Scene, outage: dict[str, Any]
) -> None:
    alpha = await scene.project("alpha")
    await scene.ask(alpha="100", rich="100000")
    for name in ("b", "c", "d", "e", "f", "g"):
        await scene.project(name)
    scene.portal.asked.clear()
    for name, value in outage.items():
        setattr(scene.portal, name, value)
    follower = scene.follower(timeout_seconds=0.5)

    await scene.make_due()
    with pytest.raises(Unavailable, match=r"^the portal (no answer within|answered with status)"):
        await follower.run()
    await scene.make_due()
    assert await follower.run() == 0

    # As many as are asked for at once, and then nobody for a while.
    assert len(scene.portal.asked) == 4
    assert await scene.left(alpha) == 100
    state = await scene.state(alpha)
    assert (state["granted"], state["failure_count"]) == (100, 0)
    assert state["last_error"]


async def test_a_portal_that_is_not_there_is_told(scene: Scene) -> None:
    alpha = await scene.project("alpha")
    scene.portal.url = "http://127.0.0.1:1"

    with pytest.raises(Unavailable, match="the portal cannot be asked: ConnectionRefusedError"):
        await scene.ask(alpha="1")

    assert await scene.entries(alpha) == []


async def test_a_project_that_the_portal_does_not_know_stops_no_other(scene: Scene) -> None:
    unknown, alpha = await scene.project("unknown"), await scene.project("alpha")

    assert await scene.ask(alpha="5") == 1

    assert await scene.left(alpha) == 5
    assert (await scene.state(unknown))["last_error"] == "does not know the project (status 404)"


ODD_NAMES = [
    "a b+c%20d", "a&project_name=rich", "a#b?c=d", "../../secure", "Äöü ✓ ٣", "'\";--", "100%",
    "x" * 1000, "a=b;c,d", "[alpha]", "{0}", "\\n",
]  # fmt: skip


async def test_every_name_reaches_the_portal_as_it_is(scene: Scene) -> None:
    numbers = {name: await scene.project(name) for name in ODD_NAMES}

    await scene.ask(**{name: str(place) for place, name in enumerate(ODD_NAMES, 1)})

    assert sorted(ODD_NAMES) == sorted(scene.portal.asked)
    for place, name in enumerate(ODD_NAMES, 1):
        assert await scene.left(numbers[name]) == place


async def test_who_has_no_name_of_its_own_is_not_asked_for(scene: Scene) -> None:
    """A person's hand, or a refused sample, gave that name: no rated sample bears it out."""
    await scene.project("rich", site="s", external_id="7")

    assert await scene.ask(rich="100000") == 0

    assert scene.portal.asked == []


async def test_a_name_that_several_have_is_not_asked_for_unless_it_was_before(
    scene: Scene,
) -> None:
    alpha = await scene.project("alpha")
    await scene.ask(alpha="10")
    later = await scene.project("alpha", site="elsewhere")
    twins = [await scene.project("twin", site=site) for site in ("a", "b")]

    assert await scene.ask(alpha="11", twin="5") == 1

    assert await scene.left(alpha) == 11
    assert await scene.left(later) == 0
    assert "twin" not in scene.portal.asked
    for one in (later, *twins):
        error = (await scene.state(one))["last_error"]
        assert error == "is not asked: several projects have this name"


async def test_what_an_opening_brought_along_is_not_granted_twice(scene: Scene) -> None:
    alpha = await scene.project("alpha")
    async with transaction(scene.core.pool) as conn:
        now = await batches.read_now(conn)
        number = await grants.insert_grant(
            conn, project_id=alpha, kind=LotKind.OPENING, amount=credits_of(100),
            reason="taken over", author="portal", valid_from=floor_hour(now),
        )  # fmt: skip
        await start_lot(conn, number, now)

    await scene.ask(alpha="100")
    assert await scene.left(alpha) == 100

    await scene.ask(alpha="130")
    assert await scene.entries(alpha) == [("opening", Decimal(100)), ("grant", Decimal(30))]


# --- Exactly once


async def test_copies_that_ask_at_once_grant_once(scene: Scene) -> None:
    numbers = {f"p{place}": await scene.project(f"p{place}") for place in range(30)}
    scene.portal.answers = {name: str(number) for name, number in numbers.items()}
    scene.portal.seconds = 0.05

    answers = await asyncio.gather(*(scene.follower().run() for _ in range(3)))

    assert sum(answers) == len(numbers)
    assert sorted(scene.portal.asked) == sorted(numbers)
    for number in numbers.values():
        assert await scene.entries(number) == [("grant", Decimal(number))]


@pytest.mark.parametrize("later", ["100", "150", "30", "0"])
async def test_a_copy_that_dies_behind_its_instruction_loses_and_doubles_nothing(
    scene: Scene, later: str
) -> None:
    alpha = await scene.project("alpha")
    await scene.ask(alpha="40")
    await _instruct_and_die(scene, "100")
    assert await scene.left(alpha) == 100

    await scene.ask(alpha=later)

    assert await scene.left(alpha) == Decimal(later)
    state = await scene.state(alpha)
    assert (state["granted"], state["last_error"]) == (Decimal(later), "")
    assert state["change_count"] == (2 if later == "100" else 3)


async def _instruct_and_die(scene: Scene, answer: str) -> None:
    """Leave what a copy leaves that is killed between the instruction and the count of it."""
    await scene.make_due()
    async with connection(scene.core.pool) as conn:
        [account] = await store.claim_projects(conn, claim=CLAIM, limit=1)
    instruction = account.change_to(credits_of(answer))
    assert instruction is not None
    await instruct(scene.core.pool, instruction, WATCH)


async def test_an_answer_that_has_grown_old_meanwhile_is_not_followed(scene: Scene) -> None:
    alpha = await scene.project("alpha")
    await scene.ask(alpha="10")
    scene.portal.answers["alpha"] = "100"
    scene.portal.seconds = 0.5
    await scene.make_due()
    slow = asyncio.create_task(scene.follower().run())
    while len(scene.portal.asked) < 2:
        await asyncio.sleep(0.01)
    scene.portal.seconds = 0
    # The slow copy's claim has run out, and the portal says something else by now.
    await scene.make_due()
    scene.portal.answers["alpha"] = "50"
    assert await scene.follower().run() == 1
    assert await scene.left(alpha) == 50
    scene.portal.answers["alpha"] = "60"
    await slow
    await scene.ask()

    assert await scene.left(alpha) == 60


async def test_a_key_that_somebody_else_has_used_stops_nothing(scene: Scene) -> None:
    alpha = await scene.project("alpha")
    await scene.ask(alpha="0")
    async with connection(scene.core.pool) as conn:
        await scene.make_due()
        [account] = await store.claim_projects(conn, claim=CLAIM, limit=1)
    instruction = account.change_to(credits_of(7))
    assert instruction is not None
    by_hand = type(instruction)(alpha, instruction.amount, "by hand", "Eve", account.change_key)
    await instruct(scene.core.pool, by_hand, WATCH)

    await scene.ask(alpha="10")

    assert await scene.left(alpha) == 17


async def test_copies_that_are_killed_at_any_moment_end_where_the_portal_is(
    scene: Scene,
) -> None:
    chance = random.Random(7)
    numbers = [await scene.project(f"p{place}") for place in range(6)]
    for _ in range(25):
        for place in range(len(numbers)):
            scene.portal.answers[f"p{place}"] = str(chance.randrange(1000))
        await scene.make_due()
        copies = [asyncio.create_task(scene.follower().run()) for _ in range(2)]
        await asyncio.sleep(chance.random() * 0.1)
        for copy in copies:
            copy.cancel()
            with suppress(asyncio.CancelledError):
                await copy

    await scene.ask()

    for place, number in enumerate(numbers):
        answer = Decimal(scene.portal.answers[f"p{place}"])
        assert await scene.left(number) == answer
        assert (await scene.state(number))["granted"] == answer


async def test_the_doctor_says_for_whom_there_is_no_answer(scene: Scene) -> None:
    await scene.project("alpha")
    await scene.project("beta")
    await scene.ask(alpha="1")
    async with connection(scene.core.pool) as conn:
        health = await store.read_health(conn)

    finding = judge_portal(health, asks_portal=True)

    assert finding.state is State.WARNING
    assert finding.message.startswith("it has answered for 1 projects, lastly at 2")
    assert finding.message.endswith(
        "; 1 have no answer now, such as beta: does not know the project (status 404)"
    )
    assert judge_portal(health, asks_portal=False).state is State.OK
