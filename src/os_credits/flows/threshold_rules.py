"""Says which lines hold for whom: a project's own, its organisations', else the service's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from os_credits.domain.threshold import Lines
from os_credits.store import batches, organisations, projects, threshold_rules
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from os_credits.domain.threshold import LineRule
    from os_credits.store.pool import Connection, Pool
    from os_credits.store.threshold_rules import StoredRule


@dataclass(frozen=True, slots=True)
class EffectiveLines:
    """The lines that hold, the rules that they come from (nearest first), and who named what.

    `sources` gives the rule that named each field of `lines`; None: the service's settings.
    """

    lines: Lines
    rules: tuple[StoredRule, ...]
    sources: Mapping[str, StoredRule | None]


async def read_lines(
    conn: Connection, project_ids: Sequence[int], default: Lines
) -> dict[int, Lines]:
    """Give the lines that hold for each project now."""
    rules = await _rules_of(conn, project_ids)
    return {
        project_id: effective(default, rules[project_id]).lines if project_id in rules else default
        for project_id in project_ids
    }


async def read_project_lines(conn: Connection, project_id: int, default: Lines) -> EffectiveLines:
    """Give the lines that hold for a project now, and where each comes from."""
    return effective(default, (await _rules_of(conn, [project_id])).get(project_id, ()))


async def read_organisation_lines(
    conn: Connection, organisation_id: int, default: Lines
) -> EffectiveLines:
    """Give the lines that hold for an organisation's projects that say nothing themselves."""
    way = await threshold_rules.read_way_up(conn, organisation_id)
    said = await threshold_rules.read_organisation_rules(conn, way)
    return effective(default, [said[one] for one in way if one in said])


def effective(default: Lines, rules: Sequence[StoredRule]) -> EffectiveLines:
    """Lay rules, the nearest first, over the service's own lines; each field by itself."""
    lines = default
    sources: dict[str, StoredRule | None] = {one.name: None for one in fields(Lines)}
    for stored in reversed(rules):
        lines = stored.rule.over(lines)
        sources |= dict.fromkeys(stored.rule.named(), stored)
    return EffectiveLines(lines, tuple(rules), sources)


async def put_project_rule(
    pool: Pool, project_id: int, rule: LineRule | None, *, reason: str, author: str
) -> bool:
    """Let a project have lines of its own, or none (None); gives whether that is new.

    What is crossed by new lines is told by the next check, once.
    """
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        stored = (await threshold_rules.read_project_rules(conn, [project_id])).get(project_id)
        if (None if stored is None else stored.rule) == rule:
            return False
        await threshold_rules.insert_rule(
            conn,
            project_id=project_id,
            organisation_id=None,
            rule=rule,
            reason=reason,
            author=author,
        )
        return True


async def put_organisation_rule(
    pool: Pool, organisation_id: int, rule: LineRule | None, *, reason: str, author: str
) -> bool:
    """Let an organisation's projects have other lines, or none (None); gives whether it is new."""
    async with transaction(pool) as conn:
        await threshold_rules.lock_rules(conn)
        said = await threshold_rules.read_organisation_rules(conn, [organisation_id])
        stored = said.get(organisation_id)
        if (None if stored is None else stored.rule) == rule:
            return False
        await threshold_rules.insert_rule(
            conn,
            project_id=None,
            organisation_id=organisation_id,
            rule=rule,
            reason=reason,
            author=author,
        )
        return True


async def _rules_of(conn: Connection, project_ids: Sequence[int]) -> dict[int, list[StoredRule]]:
    """Give the rules that concern these projects, the nearest first."""
    found = {
        project_id: [rule]
        for project_id, rule in (
            await threshold_rules.read_project_rules(conn, project_ids)
        ).items()
    }
    if not await threshold_rules.has_organisation_rules(conn):
        return found
    paths = await organisations.path_of(conn, project_ids, await batches.read_now(conn))
    above = sorted({one for path in paths.values() for one in path})
    said = await threshold_rules.read_organisation_rules(conn, above)
    for project_id, path in paths.items():
        if rules := [said[one] for one in path if one in said]:
            found.setdefault(project_id, []).extend(rules)
    return found
