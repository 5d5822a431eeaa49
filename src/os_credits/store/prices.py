"""Table `price`: dated prices, never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.price import Price

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from os_credits.store.pool import Connection


async def insert_price(
    conn: Connection,
    *,
    meter_id: int,
    flavor_id: int | None,
    valid_from: datetime,
    credits_per_unit: Decimal | None,
    author: str,
) -> int:
    """Store a price (a new revision, if one with this start exists) and give its id."""
    price_id = await conn.fetchval(
        """
        INSERT INTO price (meter_id, flavor_id, valid_from, credits_per_unit, author)
        VALUES ($1, $2, $3, $4, $5) RETURNING id
        """,
        meter_id,
        flavor_id,
        valid_from,
        credits_per_unit,
        author,
    )
    return int(price_id)


async def list_prices(conn: Connection) -> list[Price]:
    """Give every price that was ever set, oldest revision first."""
    rows = await conn.fetch(
        """
        SELECT id, meter_id, flavor_id, valid_from, credits_per_unit, author, created_at
        FROM price ORDER BY id
        """
    )
    return [Price(**dict(row)) for row in rows]
