"""Reads what proxies write into headers; whether that is believed is asked elsewhere.

Proxies set one kind of headers and hand through the others as they came, forged or not: a request
with any X-Forwarded-... is read by these alone, another one by `Forwarded` (RFC 7239).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from multidict import MultiMapping

Address: TypeAlias = IPv4Address | IPv6Address

BASE_LENGTH_MAX = 200
# What tells that a request came through a proxy, besides all that begin with x-forwarded.
_TELLTALES = frozenset(
    {
        "cf-connecting-ip",
        "fastly-client-ip",
        "forwarded",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "x-real-ip",
    }
)
_TELLTALE_PREFIX = "x-forwarded"
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_USUAL_PORT = re.compile(r":(80|443)$")
# No part of it can be read as another host, a way upwards, or a header.
_BASE = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]*)\](:[0-9]{1,5})?|(?P<four>[0-9.]+):[0-9]{1,5}")
# One `name=value` of RFC 7239, the value perhaps quoted, and what follows.
_PAIR = re.compile(r'\s*([A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s";,]*)\s*(;|,|$)')


@dataclass(frozen=True, slots=True)
class Told:
    """What the headers say: the chain of clients, the nearest last, and how these asked.

    '' stands for what nobody says.
    """

    hops: tuple[str, ...]
    scheme: str
    host: str
    prefix: str


def is_told(headers: MultiMapping[str]) -> bool:
    """Tell whether somebody seems to have passed a request on."""
    return any(name in _TELLTALES or name.startswith(_TELLTALE_PREFIX) for name in _names(headers))


def read_told(headers: MultiMapping[str]) -> Told:
    """Read what the proxies say; of the scheme and the host the nearest one's word counts."""
    if not any(name.startswith(_TELLTALE_PREFIX) for name in _names(headers)):
        elements = _elements(",".join(headers.getall("Forwarded", [])))
        nearest = elements[-1] if elements else {}
        hops = [element.get("for", "") for element in elements]
        scheme, host, prefix = nearest.get("proto", ""), nearest.get("host", ""), ""
    else:
        hops = _values(headers, "X-Forwarded-For")
        scheme, host, prefix = (
            (_values(headers, f"X-Forwarded-{name}") or [""])[-1]
            for name in ("Proto", "Host", "Prefix")
        )
    scheme = scheme.lower()
    return Told(
        hops=tuple(hops),
        scheme=scheme if scheme in {"http", "https"} else "",
        host=host_of(host),
        prefix=_base_of(prefix),
    )


def address_of(text: str) -> Address | None:
    """Read an address, perhaps with a port or a zone; None for anything else."""
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        text = with_port["four"] if with_port["six"] is None else with_port["six"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def host_of(text: str) -> str:
    """Give a host as browsers name it in `Origin`: lower case, a usual port left out."""
    return _USUAL_PORT.sub("", text.lower()) if _HOST.fullmatch(text) else ""


def _names(headers: MultiMapping[str]) -> list[str]:
    return [name.lower() for name in headers]


def _values(headers: MultiMapping[str], name: str) -> list[str]:
    joined = ",".join(headers.getall(name, []))
    return [part.strip() for part in joined.split(",")] if joined else []


def _elements(text: str) -> list[dict[str, str]]:
    """Read RFC 7239; what does not fit makes the whole header say nothing."""
    elements: list[dict[str, str]] = [{}]
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return []
        name, value, end = pair.groups()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        elements[-1][name.lower()] = value
        if end == ",":
            elements.append({})
        place = pair.end()
    return elements if elements[-1] else []


def _base_of(prefix: str) -> str:
    base = prefix.rstrip("/")
    return base if len(base) <= BASE_LENGTH_MAX and _BASE.fullmatch(base) else ""
