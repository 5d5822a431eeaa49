"""Alembic's entry: one connection, one advisory lock, time limits on locks."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text

# Two copies that start together must not migrate together; any constant will do.
ADVISORY_LOCK = 0x05C7ED17
CONNECT_SECONDS_MAX = 10


def run() -> None:
    """Migrate over the URL that `os_credits.store.migrate` put into the configuration."""
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None  # noqa: S101 - store.migrate has set it
    engine = create_engine(
        url, poolclass=pool.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS_MAX}
    )
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '30s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        # Says nothing where it is there; else it needs a role that may, on a server that has it.
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS timescaledb"))
        connection.commit()
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})


run()
