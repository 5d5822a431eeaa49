"""Takes over a list of people: all of it, or nothing unless bad rows may be skipped."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.person import PEOPLE_MAX, address_key, change_people
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.people_file import Problem, read_rows
from os_credits.flows.projects import resolve_project
from os_credits.store import people, rating_state
from os_credits.store.pool import connection, previewed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.person import PeopleChange
    from os_credits.domain.project import Project
    from os_credits.flows.people_file import NamedProject, ReadRow, Row
    from os_credits.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a list is taken over.

    With `replace`, who is not in the list hears no more of the projects that it names; with
    `preview` nothing is kept; with `skip_bad` the good rows are written without the bad ones.
    """

    replace: bool = False
    preview: bool = False
    skip_bad: bool = False


@dataclass(frozen=True, slots=True)
class ChangedProject:
    """What a list changes about the people of one project."""

    project: Project
    change: PeopleChange


@dataclass(frozen=True, slots=True)
class Imported:
    """What a list changes (or would change), every problem, and whether it was written."""

    projects: Sequence[ChangedProject]
    problems: Sequence[Problem]
    written: bool


async def import_people(pool: Pool, rows: Sequence[Row], options: ImportOptions) -> Imported:
    """Take over a list of people; the same list again changes nothing.

    Every row with something wrong is among the problems. Raises InvalidInput where bad rows are
    to be skipped and others removed: a slip of the pen would silence an owner.
    """
    if options.skip_bad and options.replace:
        raise InvalidInput("cannot go with replacing", where="skip_bad")
    read = read_rows(rows)
    problems = list(read.problems)
    async with connection(pool) as conn:
        by_project, unknown = await _resolve(conn, read.rows)
    problems += unknown
    blocked = bool(problems) and not options.skip_bad
    async with previewed(pool, preview=options.preview or blocked) as conn:
        changed, too_many = await _plan(conn, by_project, only_these=options.replace)
        problems += too_many
        blocked = bool(problems) and not options.skip_bad
        if not blocked:
            await _write(conn, changed)
    return Imported(
        projects=changed,
        problems=sorted(problems, key=lambda one: one.line),
        written=not blocked and not options.preview,
    )


async def _resolve(
    conn: Connection, rows: Sequence[ReadRow]
) -> tuple[dict[Project, list[ReadRow]], list[Problem]]:
    """Find the project of each row, each name once, as any other reader of names does."""
    known: dict[NamedProject, Project | NotFound | Conflict] = {}
    by_project: dict[Project, list[ReadRow]] = defaultdict(list)
    lines: dict[tuple[int, str], int] = {}
    problems: list[Problem] = []
    for row in rows:
        named = row.project
        if named not in known:
            known[named] = await _find(conn, named)
        found = known[named]
        if isinstance(found, NotFound | Conflict):
            candidates = found.candidates if isinstance(found, Conflict) else ()
            problems.append(Problem(row.line, "project", str(found), candidates))
            continue
        # Two names may mean one project.
        key = (found.id, address_key(row.change.email))
        before = lines.setdefault(key, row.line)
        if before != row.line:
            problems.append(Problem(row.line, "email", f"stands in line {before} already"))
        else:
            by_project[found].append(row)
    return by_project, problems


async def _find(conn: Connection, named: NamedProject) -> Project | NotFound | Conflict:
    try:
        return await resolve_project(conn, named.name, site=named.site, domain=named.domain)
    except (NotFound, Conflict) as error:
        return error


async def _plan(
    conn: Connection, by_project: dict[Project, list[ReadRow]], *, only_these: bool
) -> tuple[list[ChangedProject], list[Problem]]:
    """Say what the rows change, with all projects locked; too many people are a problem."""
    ids = [project.id for project in by_project]
    await rating_state.lock(conn)
    await people.lock_against_notices(conn, ids)
    before = await people.list_people_of(conn, ids)
    changed: list[ChangedProject] = []
    problems: list[Problem] = []
    for project, rows in by_project.items():
        change = change_people(
            before.get(project.id, []), [row.change for row in rows], only_these=only_these
        )
        if len(change.people) > PEOPLE_MAX:
            message = f"would have more than {PEOPLE_MAX} people who hear of it"
            problems.append(Problem(rows[-1].line, "project", message))
        else:
            changed.append(ChangedProject(project, change))
    return changed, problems


async def _write(conn: Connection, changed: Sequence[ChangedProject]) -> None:
    await people.delete_people(
        conn, [(one.project.id, gone.email) for one in changed for gone in one.change.removed]
    )
    await people.put_people(
        conn,
        [
            (one.project.id, person)
            for one in changed
            for person in one.change.added + one.change.changed
        ],
    )
