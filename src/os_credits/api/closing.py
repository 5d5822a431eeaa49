"""The end of a project: closing, reopening, and its statement."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.closing_shapes import (
    AfterClosing,
    ClosingAnswer,
    ClosingShape,
    StatementRow,
    StatementShape,
)
from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, Names, ProjectQuery, project_of, read_names
from os_credits.api.reading import Moment, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ProjectShape, credits_text
from os_credits.domain.closing import ClosingRequest, StatementLine, state_of, total_of
from os_credits.domain.project import Project
from os_credits.domain.text import as_cell
from os_credits.flows.closing import Decided, close, read_statement, reopen
from os_credits.store import batches, closings
from os_credits.store.pool import Connection, connection, snapshot

CSV_TYPE = "text/csv"
CSV_COLUMNS = ("part", "kind", "meter", "flavor", "credits")

routes = Routes("The end of a project")


class NewClosing(BaseModel):
    """From when on a project is closed, and why."""

    model_config = ConfigDict(extra="forbid")

    hour: Moment | None = Field(
        None, description="A full hour, past or at most 31 days ahead; else the next that begins"
    )
    reason: Reason


class NewReopening(BaseModel):
    """Why a closed project goes on."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class StatementQuery(ProjectQuery):
    """In which form to give the statement."""

    format: Literal["json", "csv"] = "json"


@routes.add(
    "POST",
    "/api/v1/projects/{project}/closing",
    gate=Gate.ADMIN,
    summary="Close a project",
    answers={
        200: Answer("It was closed just so before", ClosingAnswer),
        201: Answer("It is decided", ClosingAnswer),
        409: Answer("An ambiguous name, or it is closed otherwise", ConflictShape),
    }
    | FOUND_NO_PROJECT,
)
async def add_closing(request: web.Request, query: ProjectQuery, body: NewClosing) -> web.Response:
    """Usage is still taken and booked; nothing new is granted, and no line is told any more.

    Once all hours before are booked, the owners get the final statement.
    """
    pool = context_of(request).pool
    async with connection(pool) as conn:
        project = await project_of(request, conn, query)
    wanted = ClosingRequest(project.id, body.hour, body.reason, access_of(request).name)
    return await _answer(request, await close(pool, wanted))


@routes.add(
    "POST",
    "/api/v1/projects/{project}/reopening",
    gate=Gate.ADMIN,
    summary="Let a closed project go on",
    answers={
        200: Answer("It was reopened for this reason before", ClosingAnswer),
        201: Answer("It is open", ClosingAnswer),
        409: Answer("An ambiguous name, or it is not closed", ConflictShape),
    }
    | FOUND_NO_PROJECT,
)
async def add_reopening(
    request: web.Request, query: ProjectQuery, body: NewReopening
) -> web.Response:
    """Keep the closing and its final statement on record; another closing has its own."""
    pool = context_of(request).pool
    async with connection(pool) as conn:
        project = await project_of(request, conn, query)
    done = await reopen(pool, project.id, reason=body.reason, author=access_of(request).name)
    return await _answer(request, done)


async def _answer(request: web.Request, done: Decided) -> web.Response:
    async with connection(context_of(request).pool) as conn:
        shape = closing_answer(done, await batches.read_now(conn))
    return json_response(shape, status=201 if done.created else 200)


@routes.add(
    "GET",
    "/api/v1/projects/{project}/statement",
    gate=Gate.READ,
    summary="A project's account in sums, final once the project has ended",
    answers={200: Answer("The statement", StatementShape, also=(CSV_TYPE,))} | FOUND_NO_PROJECT,
)
async def get_statement(request: web.Request, query: StatementQuery) -> web.Response:
    """Give rows that add up to the balance, to the last digit."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        shape = await read_statement_shape(conn, project)
    if query.format == "json":
        return json_response(shape)
    return web.Response(
        text=statement_csv(shape),
        content_type=CSV_TYPE,
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="statement-{project.id}.csv"'},
    )


def closing_answer(done: Decided, now: datetime) -> ClosingAnswer:
    """Shape a decision."""
    return ClosingAnswer(
        closing=ClosingShape.model_validate(done.closing),
        state=state_of(done.closing, now),
        created=done.created,
    )


async def read_statement_shape(conn: Connection, project: Project) -> StatementShape:
    """Read a project's statement; call it in a snapshot."""
    statement = await read_statement(conn, project.id)
    names = await read_names(conn)
    decisions = await closings.list_closings(conn, project.id)
    closing = statement.closing
    return StatementShape(
        project=ProjectShape.model_validate(project),
        state=state_of(closing, statement.as_of),
        closing=None if closing is None else ClosingShape.model_validate(closing),
        is_final=statement.final_at is not None,
        final_at=statement.final_at,
        as_of=statement.as_of,
        head_sequence=statement.sequence,
        head_hash=statement.hash,
        rows=_rows(statement.lines, names),
        balance=statement.balance,
        after_closing=None
        if closing is None
        else AfterClosing(
            rows=_rows(statement.after, names),
            used=statement.used_after,
            total=total_of(statement.after),
        ),
        current=statement.current,
        decisions=[ClosingShape.model_validate(one) for one in decisions],
    )


def _rows(lines: Iterable[StatementLine], names: Names) -> list[StatementRow]:
    return [
        StatementRow(
            kind=one.kind,
            meter=names.meter(one.meter_id),
            flavor=names.flavor(one.flavor_id),
            credits=one.credits,
        )
        for one in lines
    ]


def statement_csv(shape: StatementShape) -> str:
    """Write a statement as a table, in which no spreadsheet finds a formula.

    The part `statement` adds up to its line `balance`; with `after_closing`, to `current`.
    """
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\r\n")
    table.writerow(CSV_COLUMNS)
    _write_rows(table, "statement", shape.rows)
    table.writerow(["statement", "balance", "", "", credits_text(shape.balance)])
    if shape.after_closing is not None:
        _write_rows(table, "after_closing", shape.after_closing.rows)
    table.writerow(["all", "current", "", "", credits_text(shape.current)])
    return written.getvalue()


def _write_rows(table: Any, part: str, rows: Iterable[StatementRow]) -> None:
    for one in rows:
        texts = (as_cell(one.meter or ""), as_cell(one.flavor or ""))
        table.writerow([part, one.kind.value, *texts, credits_text(one.credits)])
