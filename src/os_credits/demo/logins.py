"""Lets one person of each role log in, by a password that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from os_credits.demo.cast import Person
from os_credits.demo.projects import MANAGED, MANAGER, MEMBER, OWNER
from os_credits.demo.service import Service, path_of


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who can log in, and what may be seen then."""

    person: Person
    role: str
    is_administrator: bool = False


LOGINS = (
    Login(Person("admin@demo.example", "Ruth Adler"), "administrator", is_administrator=True),
    Login(MANAGER, f"manages {MANAGED} and the teams beneath"),
    Login(OWNER, "owns genome-atlas, text-mining and protein-folding"),
    Login(MEMBER, "is a member of plant-pathways, imaging-course and data-school"),
)


async def make_logins(service: Service, password: str, say: Callable[[str], None]) -> None:
    """Let everybody of `LOGINS` in by this password; who can log in by it already stays so."""
    path = path_of("api", "v1", "logins")
    known = (await service.get(path, search="@demo.example"))["logins"]
    there = {one["email"] for one in known if one["has_password"]}
    for login in LOGINS:
        credentials = {"email": login.person.email, "password": password}
        session = path_of("api", "v1", "session")
        if login.person.email in there and await service.send(
            "POST", session, credentials, absent=(401,)
        ):
            continue
        wish = {
            "email": login.person.email,
            "name": login.person.name,
            "is_administrator": login.is_administrator,
            "by_mail": False,
        }
        made = await service.send("POST", path, wish)
        token = urlsplit(made["invitation"]["link"]).path.rpartition("/")[2]
        chosen = {"token": token, "password": password}
        await service.send("POST", path_of("api", "v1", "passwords"), chosen)
        say(f"{login.person.email} can log in: {login.role}")
