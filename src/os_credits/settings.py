"""Every setting, read once from the environment and `.env`; mirrored in `.default.env`.

Names carry the prefix `OS_CREDITS_`; a secret may also come from the file that the variable
with `_FILE` behind its name points at. The names of the de.NBI service are understood with a
warning, see `legacy_settings.py`. Start reading at `read_settings`.
"""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from os_credits.domain.threshold import Lines
from os_credits.errors import InvalidInput, Misconfigured
from os_credits.legacy_settings import (
    GONE,
    PREFIX,
    digits_of,
    names_of,
    translate,
    variable,
)

BUILT_IN_METERS = Path(__file__).resolve().parent / "meters.toml"
MIB = 1024 * 1024
# What may stand in a file whose name is given by OS_CREDITS_..._FILE.
SECRETS = (
    "database_url",
    "owner_database_url",
    "admin_key",
    "mail_password",
    "webhook_secret",
    "portal_key",
)
SECRET_BYTES_MAX = 10_000
# No part of the path may lead upwards, or need quoting: links and cookies are made of it.
_PUBLIC_ADDRESS = re.compile(
    r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
    r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*"
)
# Variables with our prefix that are for `os-credits demo` and for the tests, no settings.
OTHER_VARIABLES = (
    "os_credits_url",
    "os_credits_key",
    "os_credits_demo_password",
    "os_credits_test_database_url",
    "os_credits_test_service_database_url",
)
KEY_LENGTH_MIN = 20
PROBLEMS_SHOWN_MAX = 3


def _split(value: object) -> object:
    """Read a comma-separated list; blank is an empty one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _postgresql(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    try:
        parts = urlsplit(url)
        is_quoted = parts.port != 0 and "@" not in parts.path
    except ValueError:
        is_quoted = False
    if not is_quoted:
        raise ValueError(
            "must have a port from 1 to 65535, and a password that is quoted as URLs need it: "
            "% as %25, @ as %40, / as %2F"
        )
    return url


def _postgresql_or_blank(url: str) -> str:
    return _postgresql(url) if url else url


def _web_address(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://, or be blank")
    return url.rstrip("/")


def _public_address(url: str) -> str:
    """Take a web address, perhaps with a path of plain names below which a proxy shows us."""
    url = _web_address(url)
    if url and not _PUBLIC_ADDRESS.fullmatch(url):
        raise ValueError(
            "must be a host, perhaps with a port and a path: https://example.org/credits"
        )
    return url


def _sendable(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if text and not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("must consist of printable ASCII characters without blanks")
    return key


def _or_built_in(value: object) -> object:
    return value or BUILT_IN_METERS


def _or_none(value: object) -> object:
    return value or None


Networks = Annotated[list[IPv4Network | IPv6Network], NoDecode, BeforeValidator(_split)]
Figures = Annotated[list[Decimal], NoDecode, BeforeValidator(_split)]
OptionalNames = Annotated[list[str] | None, NoDecode, BeforeValidator(names_of)]
Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """One frozen value that holds the whole configuration; units stand last in the names."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True
    )

    # Where the service listens and what it stores in.
    database_url: Annotated[str, AfterValidator(_postgresql), Field(repr=False)] = (
        "postgresql://os_credits@127.0.0.1:5432/os_credits"
    )
    # For `migrate` only; blank where one role does everything.
    owner_database_url: Annotated[str, AfterValidator(_postgresql_or_blank), Field(repr=False)] = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: Annotated[str, AfterValidator(_public_address)] = ""
    # Whose X-Forwarded-... headers are believed.
    trusted_proxies: Networks = []
    database_connections_max: Count = 10
    database_statement_timeout_seconds: Seconds = 30
    allow_unsafe_database: bool = False

    # What is billed.
    meter_file: Annotated[Path, BeforeValidator(_or_built_in)] = BUILT_IN_METERS
    project_whitelist: OptionalNames = None
    metrics_to_bill: str = ""
    precision: Annotated[int, Field(ge=0, le=6), BeforeValidator(digits_of)] = 2
    acceptance_window_days: Annotated[int, Field(ge=1, le=365)] = 35
    acceptance_ahead_seconds: Annotated[int, Field(ge=0, le=3000)] = 600
    # For how long samples, and hourly usage, are kept; 0 is for ever.
    samples_kept_days: Annotated[int, Field(ge=0)] = 180
    usage_kept_days: Annotated[int, Field(ge=0)] = 800

    # When things happen by themselves.
    endpoints_only: bool = False
    rate_interval_seconds: Seconds = 0.5
    book_interval_seconds: Seconds = 5
    notice_interval_seconds: Seconds = 10
    forecast_interval_seconds: Seconds = 60
    deliver_interval_seconds: Seconds = 2
    grace_period_seconds: Annotated[int, Field(ge=0, le=86400)] = 900
    rate_samples_max: Count = 200_000

    # Who may do what without a key, and from where (comma-separated networks).
    admin_key: Annotated[SecretStr, AfterValidator(_sendable)] = SecretStr("")
    session_hours: Annotated[float, Field(ge=0.1, le=168, allow_inf_nan=False)] = 12
    open_read_networks: Networks = []
    open_ingest_networks: Networks = []
    open_compat_networks: Networks = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]

    # Bounds of the doors.
    body_bytes_max: Count = 16 * MIB
    decoded_bytes_max: Count = 64 * MIB
    bodies_bytes_max: Count = 256 * MIB
    body_lines_max: Count = 250_000
    body_timeout_seconds: Seconds = 20
    head_timeout_seconds: Seconds = 10
    connections_max: Count = 2000
    new_series_per_hour_max: Count = 100_000
    label_count_max: Count = 64
    label_bytes_max: Annotated[int, Field(gt=0, le=2048)] = 1024
    label_sets_cached_max: Count = 1_000_000

    # Thresholds.
    notice_percents: Figures = [Decimal(50), Decimal(20), Decimal(0)]
    notice_credits: Figures = []
    notice_days: Figures = []
    notice_burn_per_day: Figures = []
    notice_hysteresis_percent: Decimal = Decimal(5)
    notice_cool_down_hours: int = 24

    # Mail.
    mail_host: str = ""
    mail_port: Annotated[int, Field(ge=1, le=65535)] = 25
    mail_tls: Literal["none", "starttls", "tls"] = "none"
    mail_user: str = ""
    mail_password: SecretStr = SecretStr("")
    mail_from: str = "os_credits@localhost"
    mail_cc: Names = []
    mail_override_address: str = ""
    mail_language: Literal["en", "de"] = "en"
    mail_template_folder: Annotated[Path | None, BeforeValidator(_or_none)] = None
    mail_timeout_seconds: Seconds = 30
    mail_attempts_max: Count = 100
    digest_hour: Annotated[int, Field(ge=0, le=23)] = 6
    webhook_url: Annotated[str, AfterValidator(_web_address), Field(repr=False)] = ""
    webhook_secret: SecretStr = SecretStr("")
    portal_limit_url: Annotated[str, AfterValidator(_web_address)] = ""

    # Portal.
    portal_url: Annotated[str, AfterValidator(_web_address)] = ""
    portal_key: Annotated[SecretStr, AfterValidator(_sendable)] = SecretStr("")
    portal_poll_interval_seconds: Seconds = 300

    # Logs.
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look into the environment, `.env`, files of secrets, and last at de.NBI's names."""
        del file_secret_settings  # Ours are named by variables.
        environment = _merged(dotenv_settings, env_settings)
        secrets = _Values(settings_cls, _read_secrets(environment))
        older = _Values(settings_cls, translate(environment).values)
        return init_settings, env_settings, dotenv_settings, secrets, older

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if max(self.body_bytes_max, self.decoded_bytes_max) > self.bodies_bytes_max:
            raise ValueError(
                "OS_CREDITS_BODIES_BYTES_MAX is for all bodies together: it must not be smaller "
                "than OS_CREDITS_BODY_BYTES_MAX or OS_CREDITS_DECODED_BYTES_MAX"
            )
        if self.webhook_url and not self.webhook_secret.get_secret_value():
            raise ValueError("OS_CREDITS_WEBHOOK_URL needs OS_CREDITS_WEBHOOK_SECRET to sign with")
        self._check_retention()
        self._check_lines()
        return self

    @property
    def sends_links(self) -> bool:
        """Tell whether links to choose a password can be mailed: where to, and by what."""
        return bool(self.mail_host and self.public_url)

    @property
    def lines(self) -> Lines:
        """Give the lines that hold for whoever wants no others."""
        return Lines(
            percents=tuple(self.notice_percents),
            credits=tuple(self.notice_credits),
            days=tuple(self.notice_days),
            burn_per_day=tuple(self.notice_burn_per_day),
            hysteresis_percent=self.notice_hysteresis_percent,
            cool_down_hours=self.notice_cool_down_hours,
        )

    def _check_lines(self) -> None:
        try:
            _ = self.lines
        except InvalidInput as error:
            place = f"OS_CREDITS_NOTICE_{(error.where or '').upper()}"
            raise ValueError(f"{place}: {error.message}") from None

    def _check_retention(self) -> None:
        """Refuse to drop what an accepted sample may still change (rule 10)."""
        window = self.acceptance_window_days
        for name, kept, least in (
            ("SAMPLES", self.samples_kept_days, window + 2),
            ("USAGE", self.usage_kept_days, 2 * window + 2),
        ):
            if 0 < kept < least:
                raise ValueError(
                    f"OS_CREDITS_{name}_KEPT_DAYS must be 0 (for ever) or at least {least} with a "
                    f"window of {window} days: younger ones may still change"
                )


class _Values(PydanticBaseSettingsSource):
    """A source whose values were found already, by the names of the settings."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, str]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._values)


def _merged(*sources: PydanticBaseSettingsSource) -> dict[str, str | None]:
    """Give all variables, lower case; what a later source says wins."""
    merged: dict[str, str | None] = {}
    for source in sources:
        if isinstance(source, EnvSettingsSource):
            merged.update(source.env_vars)
    return merged


def _read_secrets(environment: dict[str, str | None]) -> dict[str, str]:
    """Read the files that hold secrets; Misconfigured if one is unreadable or says too much."""
    found = {}
    for name in SECRETS:
        path = environment.get(f"{PREFIX}{name}_file")
        if not path:
            continue
        place = f"{variable(name)}_FILE"
        if environment.get(f"{PREFIX}{name}"):
            raise Misconfigured(f"{place} and {variable(name)} are both set: keep one of them")
        try:
            with Path(path).open("rb") as file:
                content = file.read(SECRET_BYTES_MAX + 1).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{place}: {error}") from error
        found[name] = content.rstrip("\r\n")
        if not found[name] or len(content) > SECRET_BYTES_MAX:
            raise Misconfigured(f"{place}: {path} is empty, or too long for a secret")
    return found


def read_settings() -> tuple[Settings, list[str]]:
    """Give the settings of this process, and what about them should be put right.

    Raises Misconfigured for a value that cannot be used; its one line names the variable.
    """
    try:
        environment = _merged(DotEnvSettingsSource(Settings), EnvSettingsSource(Settings))
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the file .env cannot be read: {error}") from error
    old = translate(environment)
    try:
        settings = Settings()
    except ValidationError as error:
        raise Misconfigured(_sentence_of(error, old.origins)) from None
    return settings, [*old.warnings, *_unknown(environment), *_doubts(settings)]


def _sentence_of(error: ValidationError, origins: dict[str, str]) -> str:
    """Name variables and what is wrong with each, without the values: some are secret."""
    sentences = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        message = problem["msg"].removeprefix("Value error, ")
        name = str(problem["loc"][0]) if problem["loc"] else ""
        place = origins.get(name) or (variable(name) if name else "")
        sentences.append(f"{place}: {message}" if place else message)
    return "; ".join(sentences[:PROBLEMS_SHOWN_MAX])


def _unknown(environment: dict[str, str | None]) -> list[str]:
    """Warn of variables that look like settings of ours and are none, as after a slip."""
    names = [*Settings.model_fields, *(f"{name}_file" for name in SECRETS)]
    known = {*(f"{PREFIX}{name}" for name in names), *OTHER_VARIABLES, *GONE}
    warnings = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=0.7)
            hint = f", did you mean {variable(close[0])}?" if close else ""
            warnings.append(f"{name.upper()} is no setting of os_credits{hint}")
    return warnings


def _doubts(settings: Settings) -> list[str]:
    """Warn of values that work, and that somebody may regret."""
    doubts = []
    if 0 < len(settings.admin_key.get_secret_value()) < KEY_LENGTH_MIN:
        doubts.append(f"the admin key is short: take {KEY_LENGTH_MIN} random characters or more")
    if settings.mail_user and settings.mail_tls == "none":
        doubts.append(
            "OS_CREDITS_MAIL_PASSWORD goes over the network unencrypted: "
            "set OS_CREDITS_MAIL_TLS to starttls or tls"
        )
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        doubts.append("OS_CREDITS_TRUSTED_PROXIES lets everybody claim any address")
    if urlsplit(settings.public_url).path and not settings.trusted_proxies:
        doubts.append(
            "OS_CREDITS_PUBLIC_URL has a path: name the proxy that adds it in "
            "OS_CREDITS_TRUSTED_PROXIES, or links on its pages lead astray"
        )
    if settings.portal_key.get_secret_value() and settings.portal_url.startswith("http://"):
        doubts.append(
            "OS_CREDITS_PORTAL_KEY goes over the network unencrypted: "
            "let OS_CREDITS_PORTAL_URL begin with https://"
        )
    return doubts
