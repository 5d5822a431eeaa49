"""Facts of a page, made by hand: two meters, three flavors, a few hours."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from os_credits.domain.amount import Credits, credits_of
from os_credits.domain.balance import Balance
from os_credits.domain.budget import Usable
from os_credits.domain.forecast import StoredForecast
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.project import Project
from os_credits.store.spending import Metered, Moved, Spent
from os_credits.web.history import PageFacts
from os_credits.web.span import Span, span_of

NOW = datetime(2026, 3, 10, 14, 7, tzinfo=UTC)
PROJECT = Project(id=1, site="here", external_id="", domain="d", name="p")
VCPU = MeterDefinition(
    name="vcpu", metric="vcpu", kind="counter", unit="vCPU-hour", project_name="p"
)
SERVER = MeterDefinition(
    name="server", metric="server", kind="gauge", unit="server", project_name="p", flavor="f"
)


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, number, hour, tzinfo=UTC)


def spent(start: datetime, amount: str, meter_id: int = 1, flavor_id: int = 0) -> Spent:
    return Spent(start, meter_id, flavor_id, credits_of(amount))


def moved(start: datetime, given: str, taken: str = "0") -> Moved:
    return Moved(start, credits_of(given), credits_of(taken))


def forecast(state: str = "short", **more: Any) -> StoredForecast:
    """Give a forecast; without more, one that lacks history."""
    values: dict[str, Any] = {
        "project_id": 1,
        "computed_at": NOW,
        "state": state,
        "needs_days": 3 if state == "short" else 0,
        "p10": None,
        "p50": None,
        "p90": None,
        "burn_per_day": credits_of("0"),
        "facts": {"balance": "0.000000", "without": [], "coming": []},
    }
    return StoredForecast(**{**values, **more})


def facts(
    *,
    left: str,
    granted: str = "0",
    charges: list[Spent] | None = None,
    gifts: list[Moved] | None = None,
    metered: list[Metered] | None = None,
    first: tuple[datetime, Credits] | tuple[None, None] | None = None,
    start: datetime | None = None,
    span: str | Span = "30d",
    **more: Any,
) -> PageFacts:
    gifts = gifts or []
    if first is None:
        first = (gifts[-1].start, gifts[-1].given) if gifts else (None, None)
    values: dict[str, Any] = {
        "changes": [],
        "lots": [],
        "partners": {},
        "forecast": forecast(),
        "closing": None,
        "usable": Usable(credits_of(left), None, ()),
        "left": credits_of(left),
        "span": span_of(span) if isinstance(span, str) else span,
    }
    return PageFacts(
        project=PROJECT,
        balance=Balance(
            project_id=1,
            granted=credits_of(granted),
            granted_now=credits_of(granted),
            credited=credits_of(granted),
            booked=credits_of(left),
            tally=Credits(Decimal(0)),
            expiring=credits_of(0),
            as_of=NOW,
        ),
        start=start or day(8),
        charges=charges or [],
        moved=gifts,
        metered=metered or [],
        first_given=first,
        last_day=credits_of("0"),
        meters={1: VCPU, 2: SERVER},
        flavors={0: "", **{number: f"m1.{number}" for number in range(1, 20)}},
        **{**values, **more},
    )
