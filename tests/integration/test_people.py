"""Lists of people are taken over whole or not at all, and an address can be erased for good."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.mail import Addressing
from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import Person, PersonChange, Role
from os_credits.domain.project import ProjectKey
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows import people as flow
from os_credits.flows.notice import check
from os_credits.flows.people import add_person, change_person, erase, put_person, remove_person
from os_credits.flows.people_file import read_csv
from os_credits.flows.people_import import Imported, ImportOptions, import_people
from os_credits.flows.projects import create_project
from os_credits.store import people
from os_credits.store.audit import forget_in_audit
from os_credits.store.mails import insert_mails
from os_credits.store.notices import NewNotice, insert_notices
from os_credits.store.people import list_mails, list_people, list_stored, put_people
from os_credits.store.pool import connection, open_pool, transaction
from tests.dump import holding
from tests.integration.accounts import WATCH, grant, open_account, use

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.store.pool import Connection, Pool

ADA = "Ada@lab.example"
SPELLED = "aDA@lab.example"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=8, statement_timeout_seconds=20)
    yield opened
    await opened.close()


async def project(pool: Pool, name: str, *, site: str = "", domain: str = "") -> int:
    found, _ = await create_project(pool, ProjectKey(site, "", domain, name))
    return found.id


async def people_of(pool: Pool, project_id: int) -> list[Person]:
    async with connection(pool) as conn:
        return await list_people(conn, project_id)


async def take(pool: Pool, text: str, **options: bool) -> Imported:
    return await import_people(pool, read_csv(text.encode()), ImportOptions(**options))


def counts(done: Imported) -> list[tuple[str, int, int, int, int]]:
    return [
        (
            one.project.name,
            len(one.change.added),
            len(one.change.changed),
            len(one.change.removed),
            one.change.unchanged_count,
        )
        for one in done.projects
    ]


# --- One project's people


async def test_a_person_is_kept_with_all_that_is_said(pool: Pool) -> None:
    number = await project(pool, "p")
    person = Person(
        ADA, "Ada", Role.MEMBER, "de", (NoticeKind.BURN, NoticeKind.CLOSED), digest=True
    )

    async with transaction(pool) as conn:
        await put_people(conn, [(number, person)])
        await put_people(conn, [(number, Person("b@lab.example", wants=()))])

    assert [person, Person("b@lab.example", wants=())] == await people_of(pool, number)


async def test_another_spelling_is_the_same_person(pool: Pool) -> None:
    number = await project(pool, "p")
    await put_person(pool, number, PersonChange(ADA, {"name": "Ada", "language": "de"}))

    person, is_new = await put_person(pool, number, PersonChange(SPELLED, {"digest": True}))

    assert (person, is_new) == (Person(SPELLED, "Ada", language="de", digest=True), False)
    assert [person] == await people_of(pool, number)


async def test_who_is_there_otherwise_is_not_added_again(pool: Pool) -> None:
    number = await project(pool, "p")

    assert (Person(ADA), True) == await add_person(pool, number, PersonChange(ADA, {}))
    assert (Person(ADA), False) == await add_person(pool, number, PersonChange(ADA, {}))
    with pytest.raises(Conflict, match="already"):
        await add_person(pool, number, PersonChange(ADA, {"name": "Ada"}))


async def test_only_who_is_there_can_be_changed_or_removed(pool: Pool) -> None:
    number = await project(pool, "p")

    with pytest.raises(NotFound):
        await change_person(pool, number, PersonChange(ADA, {"name": "Ada"}))
    with pytest.raises(NotFound):
        await remove_person(pool, number, ADA)
    await add_person(pool, number, PersonChange(ADA, {}))
    assert Person(ADA, "A") == await change_person(pool, number, PersonChange(ADA, {"name": "A"}))
    assert [] == await remove_person(pool, number, SPELLED)


# --- Lists


async def test_a_list_is_taken_over_and_the_same_again_changes_nothing(pool: Pool) -> None:
    first, second = await project(pool, "p"), await project(pool, "q", site="s")
    await put_person(pool, first, PersonChange("old@lab.example", {"name": "Old"}))
    await put_person(pool, first, PersonChange(ADA, {"language": "de"}))
    text = (
        "project,site,email,name,wants\n"
        f"p,,{SPELLED},Ada,\n"
        "p,,old@lab.example,Old,\n"
        "q,s,Bob@lab.example,Bob,closed\n"
    )

    preview = await take(pool, text, preview=True)
    assert not preview.written
    assert [Person(ADA, language="de"), Person("old@lab.example", "Old")] == await people_of(
        pool, first
    )
    done, again = await take(pool, text), await take(pool, text)

    assert (done.written, again.written) == (True, True)
    assert counts(preview) == counts(done) == [("p", 0, 1, 0, 1), ("q", 1, 0, 0, 0)]
    assert counts(again) == [("p", 0, 0, 0, 2), ("q", 0, 0, 0, 1)]
    assert [Person(SPELLED, "Ada", language="de"), Person("old@lab.example", "Old")] == (
        await people_of(pool, first)
    )
    [bob] = await people_of(pool, second)
    assert bob == Person("Bob@lab.example", "Bob", wants=(NoticeKind.CLOSED,))


async def test_a_list_removes_people_only_if_it_shall(pool: Pool) -> None:
    first, second = await project(pool, "p"), await project(pool, "q")
    for number in (first, second):
        await put_person(pool, number, PersonChange("old@lab.example", {}))
    text = f"project,email\np,{ADA}\n"

    assert [("p", 1, 0, 0, 1)] == counts(await take(pool, text))
    assert [("p", 0, 0, 1, 1)] == counts(await take(pool, text, replace=True))

    assert [Person(ADA)] == await people_of(pool, first)
    assert [Person("old@lab.example")] == await people_of(pool, second)


BAD = (
    "project,site,domain,email,role\n"
    f"p,,,{ADA},\n"
    "nowhere,,,a@lab.example,\n"
    "twice,,,a@lab.example,\n"
    "twice,a,,a@lab.example,\n"
    "p,,,a@lab.example,boss\n"
    f"#1,,,{SPELLED},\n"
)


async def test_nothing_is_written_unless_all_rows_are_good(pool: Pool) -> None:
    number = await project(pool, "p")
    await project(pool, "twice", site="a", domain="x")
    await project(pool, "twice", site="b")

    done = await take(pool, BAD.replace("#1", f"#{number}"))

    assert not done.written
    assert [(one.line, one.field) for one in done.problems] == [
        (3, "project"), (4, "project"), (6, "role"), (7, "email"),
    ]  # fmt: skip
    assert "there is no project 'nowhere'" in done.problems[0].message
    ambiguous = done.problems[1]
    assert [("a", "x"), ("b", "")] == [(c["site"], c["domain"]) for c in ambiguous.candidates]
    assert done.problems[3].message == "stands in line 2 already"
    assert [] == await people_of(pool, number)


async def test_bad_rows_can_be_skipped_but_not_while_others_are_removed(pool: Pool) -> None:
    number = await project(pool, "p")
    text = f"project,email\np,{ADA}\np,no address\n"

    with pytest.raises(InvalidInput, match="cannot go with replacing"):
        await take(pool, text, skip_bad=True, replace=True)
    done = await take(pool, text, skip_bad=True)

    assert (done.written, [one.line for one in done.problems]) == (True, [3])
    assert [Person(ADA)] == await people_of(pool, number)


async def test_a_list_leaves_a_project_with_a_bounded_number_of_people(pool: Pool) -> None:
    number = await project(pool, "p")
    await put_person(pool, number, PersonChange(ADA, {}))
    rows = "".join(f"p,{place}@lab.example\n" for place in range(100))

    done = await take(pool, f"project,email\n{rows}")
    assert (done.written, [one.line for one in done.problems]) == (False, [101])
    assert [Person(ADA)] == await people_of(pool, number)

    assert (await take(pool, f"project,email\n{rows}", replace=True)).written
    assert 100 == len(await people_of(pool, number))
    with pytest.raises(Conflict, match="at most 100"):
        await put_person(pool, number, PersonChange(ADA, {}))


async def test_two_lists_at_once_come_one_after_the_other(pool: Pool) -> None:
    numbers = [await project(pool, name) for name in ("p", "q", "r")]
    forth = "".join(f"{name},a@lab.example,forth\n" for name in "pqr")
    back = "".join(f"{name},a@lab.example,back\n" for name in "rqp")

    done = await asyncio.gather(
        *(take(pool, f"project,email,name\n{rows}") for rows in [forth, back] * 4)
    )

    assert all(one.written for one in done)
    names = {person.name for number in numbers for person in await people_of(pool, number)}
    assert names in ({"forth"}, {"back"})


# --- Erasure


async def test_what_is_stored_of_an_address_is_exported_and_erased(
    pool: Pool, database_url: str
) -> None:
    number = await open_account(pool, owners=[ADA, "bob@lab.example"])
    other = await open_account(pool, "Other", owners=[SPELLED])
    digest = await open_account(pool, "Digest", owners=[])
    await put_person(pool, digest, PersonChange(SPELLED, {"name": "Ada", "digest": True}))
    for one in (number, other, digest):
        await grant(pool, one, 100)
        await use(pool, one, 60)
    assert 3 == await check(pool, WATCH)
    async with connection(pool) as conn:
        await conn.execute(
            """
            UPDATE mail SET last_error = '550 <ADA@lab.example>: no such user, see x'
            WHERE recipient = 'bob@lab.example'
            """
        )
        await conn.execute(
            """
            UPDATE mail SET state = 'sent', sent_at = now(), attempt_count = 1
            WHERE recipient = $1
            """,
            ADA,
        )
        parts = await list_stored(conn, "ada@lab.example")
        mails = await list_mails(conn, "ADA@lab.example", after_id=0, limit=10)
    assert {number: ADA, other: SPELLED, digest: SPELLED} == {
        one.project_id: one.person.email for one in parts
    }
    assert [(number, "sent"), (other, "pending"), (digest, "pending")] == [
        (one.project_id, one.state.value) for one in mails
    ]
    assert {(NoticeKind.PERCENT,)} == {one.kinds for one in mails}
    assert [False, False, True] == [one.is_digest for one in mails]
    assert {"audit", "mail", "project_owner"} == set(holding(database_url, ADA))

    erased = await erase(pool, "ada@LAB.example")
    again = await erase(pool, ADA)

    assert (erased.project_count, erased.mail_count, erased.pending_count) == (3, 3, 2)
    assert again == flow.Erased(0, 0, 0)
    assert {} == holding(database_url, ADA)
    assert {"audit", "mail", "project_owner"} == set(holding(database_url, "bob@lab.example"))
    async with connection(pool) as conn:
        rows = await conn.fetch("SELECT * FROM mail WHERE recipient LIKE 'erased%' ORDER BY id")
    assert [(f"erased-{row['id']}", "") for row in rows] == [
        (row["recipient"], row["recipient_name"]) for row in rows
    ]
    assert [("sent", ""), ("refused", "erased"), ("refused", "erased")] == [
        (row["state"], row["last_error"]) for row in rows
    ]


async def test_an_address_that_begins_alike_is_another_one(pool: Pool, database_url: str) -> None:
    await open_account(pool, owners=["ada@lab.example", "ada@lab.example.org", "a_a@lab.example"])

    await erase(pool, "a_a@lab.example")
    assert {} == holding(database_url, "a_a@lab.example")
    await erase(pool, "ada@lab.example")

    assert ["ada@lab.example.org"] == [
        row.split(",")[1] for row in holding(database_url, "ada@")["project_owner"]
    ]


async def test_a_notice_that_is_being_written_does_not_bring_an_address_back(
    pool: Pool, database_url: str
) -> None:
    """Not even where the person was removed meanwhile, so that nothing names its project."""
    number = await open_account(pool, owners=[ADA])
    async with transaction(pool) as conn:
        await _write_notice(conn, number)
        removing = asyncio.create_task(remove_person(pool, number, ADA))
        erasing = asyncio.create_task(erase(pool, ADA))
        await asyncio.sleep(0.3)
        assert not removing.done()
        assert not erasing.done()
    await asyncio.gather(removing, erasing, return_exceptions=True)

    assert {} == holding(database_url, ADA)


async def test_a_notice_waits_for_an_erasure_under_way(pool: Pool, database_url: str) -> None:
    number = await open_account(pool, owners=[ADA, "bob@lab.example"])

    async def tell() -> None:
        async with transaction(pool) as conn:
            await _write_notice(conn, number)

    async with transaction(pool) as conn:
        await people.lock_against_notices(conn, [number])
        telling = asyncio.create_task(tell())
        await asyncio.sleep(0.3)
        assert not telling.done()
        await people.delete_people(conn, [(number, ADA)])
        await people.erase_mails(conn, ADA)
        await forget_in_audit(conn, ADA)
    await telling

    assert {} == holding(database_url, ADA)
    assert {"audit", "mail", "project_owner"} == set(holding(database_url, "bob@lab.example"))


async def _write_notice(conn: Connection, project_id: int) -> None:
    [notice_id] = await insert_notices(
        conn,
        [
            NewNotice(
                project_id=project_id,
                kind=NoticeKind.CLOSED,
                value=credits_of(0),
                balance=credits_of(1),
                granted=credits_of(1),
                created_at=NOON,
                facts={},
            )
        ],
    )
    await insert_mails(conn, notice_ids=[notice_id], due_at=NOON, addressing=Addressing())


async def test_many_erasures_and_lists_at_once_leave_nothing(pool: Pool, database_url: str) -> None:
    numbers = [await open_account(pool, f"p{place}", owners=[ADA]) for place in range(6)]
    for number in numbers:
        await grant(pool, number, 100)
        await use(pool, number, 60)

    await asyncio.gather(
        check(pool, WATCH), erase(pool, ADA), check(pool, WATCH), erase(pool, SPELLED),
        *(put_person(pool, number, PersonChange("b@lab.example", {})) for number in numbers),
    )  # fmt: skip

    assert {} == holding(database_url, ADA)
    everyone = [await people_of(pool, number) for number in numbers]
    assert everyone == [[Person("b@lab.example")]] * len(numbers)
