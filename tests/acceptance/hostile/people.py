"""What people store over HTTP, tried with each payload: names, reasons, owners, keys."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from os_credits.domain.text import is_blank
from tests.acceptance.conftest import Service
from tests.acceptance.hostile.fields import GATHERING, HARMLESS, NAME_LENGTH_MAX
from tests.acceptance.hostile.scene import Scene, ask
from tests.payloads import PAYLOADS


def printable(*, name: bool = False) -> dict[str, str]:
    """Give the payloads that people may store: as a reason, or as a name."""
    return {
        kind: text[:NAME_LENGTH_MAX]
        for kind, text in PAYLOADS.items()
        if text.isprintable() and not (name and is_blank(text))
    }


def names_of_people() -> dict[str, str]:
    """Give the payloads that may be the name of somebody who logs in."""
    return {kind: name for kind, name in printable(name=True).items() if "@" not in name}


async def store_as_people(scene: Scene, service: Service) -> None:
    """Store each payload wherever people may, and see it refused wherever they may not."""
    gathering = f"/api/v1/projects/{GATHERING}"
    group = f"/api/v1/organisations/{GATHERING}"
    made = ("POST", "/api/v1/organisations", {"name": GATHERING})
    await _store(scene, service, HARMLESS, made, fits=True)
    then = {"starts_at": "2001-01-01", "ends_at": "2001-01-02"}
    for place, (kind, text) in enumerate(PAYLOADS.items()):
        project = f"/api/v1/projects/%23{scene.numbers[kind]}"
        name, line = text[:NAME_LENGTH_MAX], text[:NAME_LENGTH_MAX]
        is_name, is_line = kind in printable(name=True), kind in printable()
        owner = {"email": f"owner-{place}@example.org", "name": "Ann"}
        hour = (scene.start - timedelta(hours=100 + place)).isoformat()
        ahead = (scene.start + timedelta(days=20)).isoformat()
        key = f"grant-{place}"
        other = f"{text} by hand" if is_name else text
        for fits, method, path, body in (
            (is_name, "POST", "/api/v1/projects", {"name": other}),
            (is_name, "POST", "/api/v1/projects", {"name": kind, "site": text, "domain": text}),
            (is_name, "POST", "/api/v1/keys", {"name": name, "scopes": ["admin"]}),
            (kind in names_of_people(), "POST", "/api/v1/logins",
             {"email": f"login-{place}@example.org", "name": name}),
            (kind in names_of_people(), "PUT", f"{group}/managers/owner-{place}@example.org",
             {"name": name}),
            (is_line, "PUT", f"{project}/owners", {"owners": [{**owner, "name": line}]}),
            (is_line, "POST", "/api/v1/people/import",
             {"people": [{**owner, "project": f"#{scene.numbers[kind]}", "name": line}]}),
            (False, "POST", "/api/v1/people/import",
             {"people": [{"project": text, "email": text}]}),
            (is_line, "POST", f"{project}/closing", {"hour": ahead, "reason": line}),
            (is_line, "POST", f"{gathering}/exclusions", {**then, "reason": line}),
            (is_name, "POST", f"{gathering}/organisation",
             {"organisation": name, "valid_from": hour, "reason": line}),
            (is_name, "POST", "/api/v1/organisations", {"name": name}),
            (is_line, "POST", f"{group}/parent",
             {"parent": None, "valid_from": hour, "reason": line}),
            (is_line, "PUT", f"{project}/thresholds", {"rule": {"days": [7]}, "reason": line}),
            (is_line, "PUT", f"{group}/thresholds", {"rule": {"days": [place]}, "reason": line}),
            (is_line, "POST", f"{group}/budgets",
             {"amount": "10", "valid_from": hour, "reason": line}),
            (is_line, "POST", f"{project}/grants",
             {"amount": "10", "reason": line, "idempotency_key": key}),
            *_instructions(gathering, project, line, fits=is_line),
        ):  # fmt: skip
            await _store(scene, service, kind, (method, path, body), fits=fits)
        if not is_line:
            owners = {"owners": [owner]}
            await _store(scene, service, kind, ("PUT", f"{project}/owners", owners), fits=True)
            plain = {"amount": "10", "idempotency_key": key}
            await _store(scene, service, kind, ("POST", f"{project}/grants", plain), fits=True)
            end = {"hour": ahead, "reason": "x"}
            await _store(scene, service, kind, ("POST", f"{project}/closing", end), fits=True)
            moved = _transfer(project, "x")
            await _store(scene, service, kind, ("POST", f"{gathering}/transfers", moved), fits=True)


def _instructions(
    gathering: str, project: str, reason: str, *, fits: bool
) -> Iterator[tuple[bool, str, str, dict[str, Any]]]:
    """Give what people tell accounts to do, each with a reason."""
    yield fits, "POST", f"{gathering}/adjustments", {"amount": "2", "reason": reason}
    yield fits, "POST", f"{gathering}/transfers", _transfer(project, reason)
    yield fits, "POST", f"{gathering}/allowances", {
        "amount": "1", "reason": reason, "first_month": "2100-01",
    }  # fmt: skip


def _transfer(project: str, reason: str) -> dict[str, str]:
    number = project.rpartition("/")[2].replace("%23", "#")
    return {"amount": "1", "reason": reason, "to": number}


async def _store(
    scene: Scene, service: Service, kind: str, request: tuple[str, str, Any], *, fits: bool
) -> None:
    method, path, body = request
    answer = await ask(scene, service, path, kind, method=method, key="admin", json=body)
    assert answer.status in ({200, 201} if fits else {400}), (kind, request, answer.text)
    if not fits:
        scene.refusals.append(answer)
