"""The page of a project's people: who works in it, of what they were told, and at which lines."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.audit import AuditFilter
from os_credits.domain.mail import MailState, mail_address
from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import PersonChange, Role, address_key, shown_name
from os_credits.domain.threshold import Lines
from os_credits.errors import Forbidden
from os_credits.flows import people as flow
from os_credits.flows.invitations import invite_person
from os_credits.flows.preview import Preview, preview_rule
from os_credits.flows.projects import resolve_project
from os_credits.flows.threshold_rules import put_project_rule, read_project_lines
from os_credits.store import audit, mails, notices, people
from os_credits.store.pool import connection, snapshot
from os_credits.web.admin.audit import in_words, number_of
from os_credits.web.admin.form import Form, form_of, refused_status
from os_credits.web.admin.office import OFFICE
from os_credits.web.language import N_, NATIVE_NAMES, gettext
from os_credits.web.line_form import LABELS, filled_with, rule_in, shown, source_words
from os_credits.web.notice_words import KINDS, line_words
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from os_credits.domain.notice import Notice
    from os_credits.domain.person import Person
    from os_credits.domain.project import Project
    from os_credits.flows.threshold_rules import EffectiveLines
    from os_credits.store.pool import Connection

NOTICES_SHOWN_MAX = 50
CHANGES_PER_PAGE = 20
PREVIEW_DAYS = 90
PREVIEW_SHOWN_MAX = 50
DONE = {
    "added": N_("This person hears of the project from now on."),
    "invited": N_("This person hears of the project from now on; an invitation to log in follows."),
    "sent": N_("An invitation to log in follows, unless this person can log in already."),
    "changed": N_("The change holds from now on."),
    "removed": N_("This person hears of the project no more."),
    "lines": N_("These lines hold from now on; the next check tells what is crossed by them."),
}
ROLES = {Role.OWNER: N_("owner"), Role.MEMBER: N_("member")}
HEARS = {
    "default": N_("as the role says: owners of everything, members of nothing"),
    "all": N_("of everything"),
    "none": N_("of nothing"),
    "some": N_("only of what is chosen below"),
}


def routes() -> list[PageRoute]:
    """Give the pages of a project's people."""
    path, api = "/projects/{project}/people", "/api/v1/projects/{project}"
    return [
        PageRoute(
            path, people_page, "People, notices and lines of a project, as a page",
            api=(f"GET {api}/notices", f"GET {api}/thresholds"),
        ),
        PageRoute(
            path, add, "Let one more person hear of a project", method="POST", gate="manage",
            api=(f"POST {api}/owners",),
        ),
        PageRoute(
            f"{path}/change", person_page, "A person of a project, as a page", gate="manage",
            api=(f"GET {api}/owners/{{email}}",),
        ),
        PageRoute(
            f"{path}/change", change, "Change a person of a project", method="POST",
            gate="manage", api=(f"PATCH {api}/owners/{{email}}",),
        ),
        PageRoute(
            f"{path}/remove", remove, "Let a person hear of a project no more", method="POST",
            gate="manage", api=(f"DELETE {api}/owners/{{email}}",),
        ),
        PageRoute(
            f"{path}/invite", invite, "Invite a person of a project to log in", method="POST",
            gate="manage", api=(f"POST {api}/owners/{{email}}/invitation",),
        ),
        PageRoute(
            "/projects/{project}/lines", try_lines, "Try lines on a project's past",
            method="POST", gate="manage", api=(f"POST {api}/thresholds/preview",),
        ),
        PageRoute(
            "/projects/{project}/lines/put", put_lines, "Let a project have lines of its own",
            method="POST", gate="manage", api=(f"PUT {api}/thresholds",),
        ),
    ]  # fmt: skip


async def _project_of(request: web.Request, conn: Connection) -> Project:
    desk, access = request.app[DESK], visitor_of(request).access
    return await resolve_project(
        conn,
        request.match_info["project"],
        site=request.query.get("site"),
        domain=request.query.get("domain"),
        may_see=lambda project: desk.may_read(access, project),
    )


async def _managed(request: web.Request) -> Project:
    async with connection(request.app[DESK].pool) as conn:
        project = await _project_of(request, conn)
    if not visitor_of(request).may_manage(project):
        raise Forbidden("only its owners, their organisation's managers and administrators may")
    return project


def _path(project: Project) -> str:
    return f"/projects/%23{project.id}/people"


async def people_page(request: web.Request) -> web.Response:
    """Show who works in a project: with addresses to those who manage it."""
    return await _page(request)


async def _page(
    request: web.Request,
    *,
    adding: Form | None = None,
    lines: Form | None = None,
    tried: Preview | None = None,
    status: int = 200,
) -> web.Response:
    visitor, office, desk = visitor_of(request), request.app[OFFICE], request.app[DESK]
    before = number_of(request.query.get("before", ""))
    async with snapshot(desk.pool) as conn:
        project = await _project_of(request, conn)
        may_manage = visitor.may_manage(project)
        known = await people.list_people(conn, project.id)
        found = await notices.list_notices(conn, project.id, limit=NOTICES_SHOWN_MAX)
        counts = await mails.count_by_notice(conn, [one.id for one in found])
        effective = await read_project_lines(conn, project.id, office.watch.lines)
        changes = []
        if may_manage:
            wanted = AuditFilter(project_id=project.id, before_id=before)
            changes = await audit.list_audit(conn, wanted, limit=CHANGES_PER_PAGE + 1)
        rows = await in_words(
            conn,
            changes[:CHANGES_PER_PAGE],
            lambda other: desk.may_read(visitor.access, other),
        )
    more = len(changes) > CHANGES_PER_PAGE
    context = {
        "project": project,
        "path": _path(project),
        "may_manage": may_manage,
        "people": _people(known, may_manage=may_manage) if _may_know_names(request) else None,
        "notices": [_notice(one, counts) for one in found],
        "lines": _lines(effective),
        "own": next((one for one in effective.rules if one.organisation is None), None),
        "changes": rows,
        "next_path": (
            f"{_path(project)}?{urlencode({'before': rows[-1]['line'].id})}#changes" if more else ""
        ),
        "first_path": f"{_path(project)}#changes" if before else "",
        "adding": adding or Form(),
        "rule": lines or Form(),
        "filled": filled_with(_own_rule(effective)),
        "labels": {name: gettext(text) for name, text in LABELS.items()},
        "tried": None if tried is None else _tried(tried),
        "languages": _languages(),
        "roles": _roles(),
        "sends_links": office.sends_links,
        "done": _done(request),
    }
    return render(request, "project_people.html", context, status=status)


def _may_know_names(request: web.Request) -> bool:
    """Tell whether people are shown at all: to those who have logged in, or administer."""
    visitor = visitor_of(request)
    return visitor.is_person or visitor.may_administer


def _done(request: web.Request) -> str:
    sentence = DONE.get(request.query.get("done", ""))
    return gettext(sentence) if sentence else ""


def _languages() -> list[tuple[str, str]]:
    own = ("", gettext("the service's own"))
    return [own, *((str(code), name) for code, name in NATIVE_NAMES.items())]


def _roles() -> list[tuple[str, str]]:
    return [(role.value, gettext(text)) for role, text in ROLES.items()]


def _people(known: list[Person], *, may_manage: bool) -> list[dict[str, Any]]:
    """Arrange people, owners first; without addresses for those who only work there."""
    rows = [
        {
            "name": one.name if may_manage else shown_name(one),
            "email": one.email if may_manage else "",
            "role": gettext(ROLES[one.role]),
            "is_owner": one.role is Role.OWNER,
            "language": NATIVE_NAMES.get(one.language, ""),  # type: ignore[call-overload]
            "hears": _hears(one),
            "change_path": f"change?{urlencode({'email': one.email})}" if may_manage else "",
        }
        for one in known
    ]
    return sorted(rows, key=lambda row: (not row["is_owner"], str(row["name"] or row["email"])))


def _hears(person: Person) -> str:
    match person.wants:
        case None:
            said = gettext("of everything") if person.role is Role.OWNER else gettext("of nothing")
        case ():
            said = gettext("of nothing")
        case wants if len(wants) == len(NoticeKind):
            said = gettext("of everything")
        case wants:
            said = ", ".join(gettext(KINDS[kind]) for kind in wants)
    return gettext("%(kinds)s, once a day", kinds=said) if person.digest else said


def _notice(notice: Notice, counts: dict[tuple[int, MailState], int]) -> dict[str, Any]:
    return {
        "notice": notice,
        "words": line_words(notice.kind, notice.line),
        "sent": counts.get((notice.id, MailState.SENT), 0),
        "pending": counts.get((notice.id, MailState.PENDING), 0),
        "refused": counts.get((notice.id, MailState.REFUSED), 0),
    }


def _lines(found: EffectiveLines) -> list[dict[str, str]]:
    return [
        {
            "label": gettext(LABELS[one.name]),
            "value": shown(getattr(found.lines, one.name)),
            "source": source_words(found.sources[one.name]),
        }
        for one in fields(Lines)
    ]


def _own_rule(found: EffectiveLines) -> Any:
    return next((one.rule for one in found.rules if one.organisation is None), None)


def _tried(found: Preview) -> dict[str, Any]:
    return {
        "preview": found,
        "count": len(found.notices),
        "notices": [
            {
                "one": one,
                "words": line_words(
                    NoticeKind(one.notice.draft.line.kind.value), one.notice.draft.line.value
                ),
            }
            for one in found.notices[-PREVIEW_SHOWN_MAX:][::-1]
        ],
    }


async def add(request: web.Request) -> web.Response:
    """Let one more person hear of a project, and invite it to log in if that is asked for."""
    form = form_of(request)
    project = await _managed(request)
    email = form.text("email", needed=True)
    said = _said(form)
    if form.is_good:
        with form.judged():
            change = PersonChange(mail_address(email, where="email"), said)
            person, _ = await flow.add_person(request.app[DESK].pool, project.id, change)
            invites = bool(form.value("invite")) and request.app[OFFICE].sends_links
            if invites:
                await _invite(request, person)
            return see_other(request, _path(project), done="invited" if invites else "added")
    return await _page(request, adding=form, status=refused_status(request))


async def _invite(request: web.Request, person: Person) -> None:
    author = visitor_of(request).access.name
    await invite_person(request.app[DESK].pool, person, author=author)


def _said(form: Form) -> dict[str, Any]:
    """Read what a form says of a person."""
    return {
        "name": form.text("name"),
        "role": Role(form.one_of("role", [role.value for role in Role]) or Role.MEMBER),
        "language": form.one_of("language", {code for code, _ in _languages()}),
    }


async def person_page(request: web.Request) -> web.Response:
    """Show a person of a project, with the forms that change what it hears, and remove it."""
    project = await _managed(request)
    person = await _person(request, project, request.query.get("email", ""))
    return _person_page(request, project, person, Form())


def _person_page(
    request: web.Request, project: Project, person: Person, form: Form, status: int = 200
) -> web.Response:
    wants = set(NoticeKind) if person.wants is None else set(person.wants)
    context = {
        "project": project,
        "path": _path(project),
        "who": person,
        "form": form,
        "roles": _roles(),
        "languages": _languages(),
        "hears": [(key, gettext(text)) for key, text in HEARS.items()],
        "hearing": _choice_of(person),
        "kinds": [(kind.value, gettext(text), kind in wants) for kind, text in KINDS.items()],
        "sends_links": request.app[OFFICE].sends_links,
    }
    return render(request, "project_person.html", context, status=status)


def _choice_of(person: Person) -> str:
    match person.wants:
        case None:
            return "default"
        case ():
            return "none"
    return "all" if len(person.wants) == len(NoticeKind) else "some"


async def _person(request: web.Request, project: Project, email: str) -> Person:
    async with connection(request.app[DESK].pool) as conn:
        known = await people.list_people(conn, project.id)
    return flow.found(known, email)


async def change(request: web.Request) -> web.Response:
    """Change role, language and what a person hears."""
    form = form_of(request)
    project = await _managed(request)
    person = await _person(request, project, form.value("email"))
    said = _said(form)
    hears = form.one_of("hears", HEARS)
    sent = request.app[DESK].form_of(request).getall("kinds", [])
    said["digest"] = bool(form.value("digest"))
    said["wants"] = {
        "default": None,
        "all": tuple(NoticeKind),
        "none": (),
    }.get(hears, tuple(kind for kind in NoticeKind if kind.value in sent))
    if form.is_good:
        with form.judged():
            change_ = PersonChange(person.email, said)
            await flow.change_person(request.app[DESK].pool, project.id, change_)
            return see_other(request, _path(project), done="changed")
    return _person_page(request, project, person, form, refused_status(request))


async def remove(request: web.Request) -> web.Response:
    """Let a person hear of a project no more; who removes himself is led away from it."""
    form = form_of(request)
    project = await _managed(request)
    email = form.value("email")
    await flow.remove_person(request.app[DESK].pool, project.id, email)
    visitor = visitor_of(request)
    is_self = address_key(visitor.email) == address_key(email)
    if is_self and not visitor.sees_all:
        return see_other(request, "/")
    return see_other(request, _path(project), done="removed")


async def invite(request: web.Request) -> web.Response:
    """Mail a link to a person of a project, unless it can log in already."""
    form = form_of(request)
    project = await _managed(request)
    person = await _person(request, project, form.value("email"))
    if request.app[OFFICE].sends_links:
        await _invite(request, person)
    return see_other(request, _path(project), done="sent")


async def try_lines(request: web.Request) -> web.Response:
    """Show what lines would have told within some months, before they hold."""
    form = form_of(request)
    project = await _managed(request)
    rule = rule_in(form)
    if not form.is_good:
        return await _page(request, lines=form, status=refused_status(request))
    watch = request.app[OFFICE].watch
    tried = await preview_rule(
        request.app[DESK].pool,
        watch.lines,
        rule,
        timedelta(days=PREVIEW_DAYS),
        digest_hour=watch.addressing.digest_hour,
        project_id=project.id,
    )
    return await _page(request, lines=form, tried=tried)


async def put_lines(request: web.Request) -> web.Response:
    """Let a project have these lines, or none of its own where nothing is said."""
    form = form_of(request)
    project = await _managed(request)
    rule, reason = rule_in(form), form.text("reason", needed=True)
    if form.is_good:
        with form.judged():
            await put_project_rule(
                request.app[DESK].pool,
                project.id,
                rule,
                reason=reason,
                author=visitor_of(request).access.name,
            )
            return see_other(request, _path(project), done="lines")
    return await _page(request, lines=form, status=refused_status(request))
