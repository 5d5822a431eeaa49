"""Reads the settings of the de.NBI service (os_credits 1.x and 2.x) as settings of this one.

Pure: environment in; values under our names and one warning for each old name out. A value
that is given under its new name too wins over the old one. Variables are lower case here, as
`settings.py` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from urllib.parse import quote

from os_credits.errors import Misconfigured

PREFIX = "os_credits_"
# Old name: new setting. Those that need more than another name have a function below.
RENAMED = {
    "api_contact_base_url": "portal_url",
    "api_contact_key": "portal_key",
    "api_key": "admin_key",
    "cloud_governance_mail": "mail_cc",
    "credits_host": "host",
    "credits_port": "port",
    "endpoints_only": "endpoints_only",
    "mail_contact_url": "portal_limit_url",
    "mail_from": "mail_from",
    "mail_smtp_password": "mail_password",
    "mail_smtp_port": "mail_port",
    "mail_smtp_server": "mail_host",
    "mail_smtp_user": "mail_user",
    "metrics_to_bill": "metrics_to_bill",
    "notification_to_overwrite": "mail_override_address",
}
GONE = {
    "credits_history_db": "the history lies in PostgreSQL",
    "credits_settings_file": "settings are read from the environment and from .env",
    "credits_unix_socket": "the service listens on OS_CREDITS_HOST and OS_CREDITS_PORT",
    "influxdb_db": "nothing is kept in InfluxDB",
    "influxdb_host": "nothing is kept in InfluxDB",
    "influxdb_port": "nothing is kept in InfluxDB",
    "influxdb_user": "nothing is kept in InfluxDB",
    "influxdb_user_password": "nothing is kept in InfluxDB",
    "os_credits_perun_login": "Perun is not asked",
    "os_credits_perun_password": "Perun is not asked",
    "os_credits_perun_vo_id": "Perun is not asked",
    "os_credits_workers": "no number of workers is needed",
}
# The keys of the files that people were told to copy; everyone knows them.
PUBLISHED_KEYS = ("super-secret", "change-me-but-not-to-123")
_POSTGRES_DEFAULTS = {"host": "localhost", "port": "5432", "user": "postgres", "db": "credits_db"}
_PRICES = {"vcpu_credit_per_hour": "project_vcpu_usage", "ram_credit_per_hour": "project_mb_usage"}
_NO = ("", "0", "f", "false", "n", "no", "off")


@dataclass(slots=True)
class Translation:
    """What old names mean: values by our field's name, whence each comes, and warnings."""

    values: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def note(self, old: str, new: str, value: str, *, remark: str = "") -> None:
        """Take a value under its new name, and say so."""
        self.values[new] = value
        self.origins[new] = old
        self.warnings.append(f"{old}: set {variable(new)} instead{remark and '; '}{remark}")


def variable(name: str) -> str:
    """Give the environment variable of a setting of ours."""
    return f"{PREFIX}{name}".upper()


def translate(environment: Mapping[str, str | None]) -> Translation:
    """Read every old name; blank ones count as not given.

    Raises Misconfigured for old names that contradict the new ones dangerously.
    """
    given = {name: value for name, value in environment.items() if value}
    found = Translation()
    _rename(given, found)
    _database_url(given, found)
    _mail(given, found)
    _prices(given, found)
    _old_formats(given, found)
    for name, reason in GONE.items():
        if name in given:
            found.warnings.append(f"{name.upper()} has no meaning any more: {reason}")
    return found


def _wins(given: Mapping[str, str], new: str, old: str, found: Translation) -> bool:
    """Tell whether the new name is given too, and say that it wins."""
    for name in (f"{PREFIX}{new}", f"{PREFIX}{new}_file"):
        if name in given:
            found.warnings.append(f"{old} is ignored, since {name.upper()} is set")
            return True
    return False


def _rename(given: Mapping[str, str], found: Translation) -> None:
    for old, new in RENAMED.items():
        if old not in given or _wins(given, new, old.upper(), found):
            continue
        value, remark = given[old], ""
        if old == "api_key":
            if value.strip("\"'") in PUBLISHED_KEYS:
                found.warnings.append(
                    "API_KEY is ignored: this is the published example, everyone knows it; "
                    "make a key by os-credits key add"
                )
                continue
            remark = "better, make keys by os-credits key add, one for each use"
        elif old == "metrics_to_bill":
            remark = "it only seeds prices that are missing, change them by os-credits price set"
        elif old == "endpoints_only" and value.strip().lower() in _NO:
            remark = f"{value!r} means false here, os_credits 2.x took every text for true"
        found.note(old.upper(), new, value, remark=remark)


def _database_url(given: Mapping[str, str], found: Translation) -> None:
    old = [f"postgres_{part}" for part in ("host", "port", "db", "user", "password")]
    used = ", ".join(name.upper() for name in old if name in given)
    if not used or _wins(given, "database_url", used, found):
        return
    value = {part: given.get(f"postgres_{part}", _POSTGRES_DEFAULTS[part]) for part in
             _POSTGRES_DEFAULTS}  # fmt: skip
    if not value["port"].isdecimal():
        raise Misconfigured(f"POSTGRES_PORT: {value['port']!r} is no port")
    password = (
        f":{quote(given['postgres_password'], safe='')}" if "postgres_password" in given else ""
    )
    host = f"[{value['host']}]" if ":" in value["host"] else quote(value["host"], safe="")
    user, database = quote(value["user"], safe=""), quote(value["db"], safe="")
    where = f"@{host}:{value['port']}/{database}"
    shown = f"postgresql://{user}{password and ':...'}{where}"
    found.note(
        used, "database_url", f"postgresql://{user}{password}{where}", remark=f"read as {shown}"
    )


def _mail(given: Mapping[str, str], found: Translation) -> None:
    """Send mail as 1.x did: by STARTTLS unless MAIL_NOT_STARTTLS forbids it."""
    smtp = [name.upper() for name in sorted(given) if name.startswith("mail_smtp_")]
    old = "MAIL_NOT_STARTTLS" if "mail_not_starttls" in given else ", ".join(smtp)
    if not old:
        return
    if smtp and "mail_smtp_server" not in given and f"{PREFIX}mail_host" not in given:
        found.note(", ".join(smtp), "mail_host", "localhost", remark="read as localhost")
    if f"{PREFIX}mail_tls" in given:
        if "mail_not_starttls" in given:
            _wins(given, "mail_tls", old, found)
        return
    skips = given.get("mail_not_starttls", "").strip().lower() not in _NO
    tls = "none" if skips else "starttls"
    found.note(old, "mail_tls", tls, remark=f"read as {tls}")


def _prices(given: Mapping[str, str], found: Translation) -> None:
    """Read the two prices of 1.x as METRICS_TO_BILL, which came with 2.x."""
    old = ", ".join(name.upper() for name in _PRICES if name in given)
    if not old:
        return
    if "metrics_to_bill" in given:
        found.warnings.append(f"{old} is ignored, since METRICS_TO_BILL is set")
    elif not _wins(given, "metrics_to_bill", old, found):
        wanted = {metric: given[name] for name, metric in _PRICES.items() if name in given}
        found.note(old, "metrics_to_bill", json.dumps(wanted), remark=f"read as {wanted}")


def _old_formats(given: Mapping[str, str], found: Translation) -> None:
    """Warn of values in the old form of names that have stayed the same."""
    if ";" in given.get(f"{PREFIX}project_whitelist", ""):
        found.warnings.append("OS_CREDITS_PROJECT_WHITELIST: separate the names by commas")
    precision = given.get(f"{PREFIX}precision", "")
    if "." in precision:
        digits = digits_of(precision)
        found.warnings.append(f"OS_CREDITS_PRECISION: write {digits} instead of {precision}")


def digits_of(precision: object) -> object:
    """Read a precision as 2.x wrote it, 0.01, as the number of digits; else give it back."""
    if not isinstance(precision, str) or "." not in precision:
        return precision
    try:
        _, digits, exponent = Decimal(precision).normalize().as_tuple()
    except InvalidOperation:
        return precision
    return -exponent if digits == (1,) and isinstance(exponent, int) else precision


def names_of(whitelist: object) -> object:
    """Read names as the de.NBI service wrote them, with semicolons; blank means everyone."""
    if not isinstance(whitelist, str):
        return whitelist
    separator = ";" if ";" in whitelist else ","
    return [name.strip() for name in whitelist.split(separator) if name.strip()] or None
