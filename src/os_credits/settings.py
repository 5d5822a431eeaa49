"""Every setting, read once from the environment and `.env`; mirrored in `.default.env`.

Names carry the prefix `OS_CREDITS_`. The names of the de.NBI service are understood with a
warning, see `legacy_settings.py`.
"""

from __future__ import annotations

from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

BUILT_IN_METERS = Path(__file__).resolve().parent / "meters.toml"
MIB = 1024 * 1024


def _split(value: object) -> object:
    """Read a comma-separated list; blank means not configured."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _none_if_blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else _split(value)


Networks = Annotated[list[IPv4Network | IPv6Network], NoDecode, BeforeValidator(_split)]
Numbers = Annotated[list[Decimal], NoDecode, BeforeValidator(_split)]
OptionalNames = Annotated[list[str] | None, NoDecode, BeforeValidator(_none_if_blank)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """One frozen value that holds the whole configuration; units stand last in the names."""

    model_config = SettingsConfigDict(
        env_prefix="OS_CREDITS_", env_file=".env", extra="ignore", frozen=True
    )

    # Where the service listens and what it stores in.
    database_url: str = "postgresql://os_credits@127.0.0.1:5432/os_credits"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str = ""
    database_connections_max: Count = 10
    database_statement_timeout_seconds: Seconds = 30
    allow_unsafe_database: bool = False

    # What is billed.
    meter_file: Path = BUILT_IN_METERS
    project_whitelist: OptionalNames = None
    metrics_to_bill: str = ""
    precision: Annotated[int, Field(ge=0, le=6)] = 2
    acceptance_window_days: Annotated[int, Field(ge=1, le=365)] = 35
    acceptance_ahead_seconds: Annotated[int, Field(ge=0, le=3000)] = 600

    # When things happen by themselves.
    endpoints_only: bool = False
    rate_interval_seconds: Seconds = 1
    book_interval_seconds: Seconds = 5
    notice_interval_seconds: Seconds = 10
    deliver_interval_seconds: Seconds = 2
    grace_period_seconds: Annotated[int, Field(ge=0, le=86400)] = 900
    rate_samples_max: Count = 200_000

    # Who may do what without a key, and from where (comma-separated networks).
    open_read_networks: Networks = []
    open_ingest_networks: Networks = []
    open_compat_networks: Networks = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]

    # Bounds of the doors.
    body_bytes_max: Count = 16 * MIB
    decoded_bytes_max: Count = 64 * MIB
    bodies_bytes_max: Count = 256 * MIB
    body_timeout_seconds: Seconds = 20
    label_count_max: Count = 64
    label_bytes_max: Annotated[int, Field(gt=0, le=2048)] = 1024
    label_sets_cached_max: Count = 1_000_000

    # Mail.
    notice_percents: Numbers = [Decimal(50), Decimal(20), Decimal(0)]
    mail_host: str = ""
    mail_port: Annotated[int, Field(ge=1, le=65535)] = 25
    mail_tls: Literal["none", "starttls", "tls"] = "none"
    mail_user: str = ""
    mail_password: SecretStr = SecretStr("")
    mail_from: str = "os_credits@localhost"
    mail_cc: Annotated[list[str], NoDecode, BeforeValidator(_split)] = []
    mail_timeout_seconds: Seconds = 30
    mail_attempts_max: Count = 20

    # Logs.
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"
