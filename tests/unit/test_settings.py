"""Settings: from the environment, from `.env`, from files of secrets, and by de.NBI's names."""

import json
from collections.abc import Callable
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest
from pydantic import SecretStr

from os_credits.errors import Misconfigured
from os_credits.legacy_settings import GONE, RENAMED, digits_of, names_of, translate
from os_credits.settings import BUILT_IN_METERS, Settings, read_settings

Set = Callable[..., None]
OLD_NAMES = [
    *RENAMED,
    *GONE,
    *("postgres_db", "postgres_host", "postgres_password", "postgres_port", "postgres_user"),
    *("mail_not_starttls", "notification_to_overwrite"),
    *("ram_credit_per_hour", "vcpu_credit_per_hour"),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """Start from an environment without settings, in an empty folder; give a way to set some."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"OS_CREDITS_{name.upper()}", raising=False)
    for name in OLD_NAMES:
        monkeypatch.delenv(name.upper(), raising=False)

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def refused(message: str) -> "pytest.RaisesExc[Misconfigured]":
    return pytest.raises(Misconfigured, match=message)


def test_nothing_needs_to_be_set() -> None:
    settings, warnings = read_settings()

    assert warnings == []
    assert settings.host == "127.0.0.1"
    assert settings.meter_file == BUILT_IN_METERS
    assert settings.notice_percents == [50, 20, 0]


def test_the_environment_wins_over_the_file(environment: Set, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OS_CREDITS_PORT=9000\nOS_CREDITS_HOST=0.0.0.0\n")
    environment(OS_CREDITS_PORT="9001")

    settings, _ = read_settings()

    assert (settings.host, settings.port) == ("0.0.0.0", 9001)


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"OS_CREDITS_HOST=\xff\xfe\n")

    with refused("the file .env cannot be read"):
        read_settings()


def test_lists_are_separated_by_commas(environment: Set) -> None:
    environment(
        OS_CREDITS_OPEN_READ_NETWORKS="10.0.0.0/8, fd00::/8",
        OS_CREDITS_OPEN_COMPAT_NETWORKS="",
        OS_CREDITS_NOTICE_PERCENTS="80,12.5",
        OS_CREDITS_MAIL_CC="a@example.org",
        OS_CREDITS_PROJECT_WHITELIST="alpha, beta",
    )

    settings, warnings = read_settings()

    assert warnings == []
    assert settings.open_read_networks == [IPv4Network("10.0.0.0/8"), IPv6Network("fd00::/8")]
    assert settings.open_compat_networks == []
    assert settings.notice_percents == [Decimal(80), Decimal("12.5")]
    assert settings.mail_cc == ["a@example.org"]
    assert settings.project_whitelist == ["alpha", "beta"]


@pytest.mark.parametrize(
    "name, value",
    [
        ("PORT", "many"),
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://root@db/credits"),
        ("DATABASE_URL", "postgresql://me:p@ss/word@db:x/credits"),
        ("DATABASE_URL", ""),
        ("PUBLIC_URL", "credits.example.org"),
        ("PRECISION", "7"),
        ("PRECISION", "0.02"),
        ("ENDPOINTS_ONLY", "perhaps"),
        ("OPEN_READ_NETWORKS", "everywhere"),
        ("OPEN_READ_NETWORKS", "10.0.0.1/8"),
        ("NOTICE_PERCENTS", "101"),
        ("NOTICE_PERCENTS", "12.3456"),
        ("NOTICE_PERCENTS", "half"),
        ("RATE_INTERVAL_SECONDS", "0"),
        ("RATE_INTERVAL_SECONDS", "inf"),
        ("BODY_BYTES_MAX", "-1"),
        ("MAIL_TLS", "maybe"),
        ("LOG_LEVEL", "CHATTY"),
        ("ADMIN_KEY", "two words"),
        ("ADMIN_KEY", "schlüssel"),
    ],
)
def test_a_bad_value_is_named_by_its_variable(environment: Set, name: str, value: str) -> None:
    environment(**{f"OS_CREDITS_{name}": value})

    with refused(rf"^OS_CREDITS_{name}\b[^\n]+$") as caught:
        read_settings()

    assert "\n" not in str(caught.value)


def test_several_bad_values_are_named_at_once(environment: Set) -> None:
    environment(OS_CREDITS_PORT="many", OS_CREDITS_PRECISION="much")

    with refused("OS_CREDITS_PORT: .*; OS_CREDITS_PRECISION: "):
        read_settings()


def test_a_bad_secret_is_not_repeated(environment: Set) -> None:
    environment(OS_CREDITS_ADMIN_KEY="top secret", OS_CREDITS_DATABASE_URL="s3cret@db")

    with refused("OS_CREDITS_DATABASE_URL") as caught:
        read_settings()

    assert "secret" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_settings_never_show_their_secrets(environment: Set) -> None:
    environment(
        OS_CREDITS_DATABASE_URL="postgresql://me:hidden1@db/x",
        OS_CREDITS_OWNER_DATABASE_URL="postgresql://owner:hidden4@db/x",
        OS_CREDITS_ADMIN_KEY="hidden2-hidden2-hidden2",
        OS_CREDITS_MAIL_PASSWORD="hidden3",
    )

    settings, _ = read_settings()

    assert "hidden" not in repr(settings)


def test_one_bound_for_all_bodies_is_not_below_that_of_one(environment: Set) -> None:
    environment(OS_CREDITS_BODIES_BYTES_MAX="1000")

    with refused("^OS_CREDITS_BODIES_BYTES_MAX is for all bodies together"):
        read_settings()


def test_a_secret_comes_from_a_file(environment: Set, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim \n")
    (tmp_path / "url").write_text("postgresql://me:x@db/credits\n")
    (tmp_path / "owner").write_text("postgresql://owner:x@db/credits\n")
    environment(
        OS_CREDITS_MAIL_PASSWORD_FILE=str(tmp_path / "password"),
        OS_CREDITS_DATABASE_URL_FILE=str(tmp_path / "url"),
        OS_CREDITS_OWNER_DATABASE_URL_FILE=str(tmp_path / "owner"),
    )

    settings, warnings = read_settings()

    assert warnings == []
    assert settings.mail_password.get_secret_value() == "geheim "
    assert settings.database_url == "postgresql://me:x@db/credits"
    assert settings.owner_database_url == "postgresql://owner:x@db/credits"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff", b"x" * 10_001])
def test_an_unreadable_secret_stops_the_start(
    environment: Set, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    environment(OS_CREDITS_ADMIN_KEY_FILE=str(tmp_path / "key"))

    with refused("^OS_CREDITS_ADMIN_KEY_FILE: "):
        read_settings()


def test_a_secret_given_twice_stops_the_start(environment: Set, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a")
    environment(OS_CREDITS_ADMIN_KEY_FILE=str(tmp_path / "key"), OS_CREDITS_ADMIN_KEY="b")

    with refused("OS_CREDITS_ADMIN_KEY_FILE and OS_CREDITS_ADMIN_KEY are both set"):
        read_settings()


def test_a_slip_in_a_name_is_told(environment: Set, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OS_CREDITS_COLOUR=red\n")
    environment(OS_CREDITS_DATABSE_URL="postgresql://db/x", OS_CREDITS_KEY="osc_x")

    assert read_settings()[1] == [
        "OS_CREDITS_COLOUR is no setting of os_credits",
        "OS_CREDITS_DATABSE_URL is no setting of os_credits, did you mean OS_CREDITS_DATABASE_URL?",
    ]


def test_what_may_be_regretted_is_told(environment: Set) -> None:
    environment(OS_CREDITS_ADMIN_KEY="short", OS_CREDITS_MAIL_USER="me")

    warnings = read_settings()[1]

    assert ["the admin key is short", "OS_CREDITS_MAIL_PASSWORD goes over the network"] == [
        warnings[0].partition(":")[0],
        warnings[1].partition(" unencrypted")[0],
    ]


# --- The names of the de.NBI service


@pytest.mark.parametrize(
    "old, value, new, expected",
    [
        ("CREDITS_PORT", "8002", "port", 8002),
        ("CREDITS_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("ENDPOINTS_ONLY", "True", "endpoints_only", True),
        ("ENDPOINTS_ONLY", "False", "endpoints_only", False),
        ("METRICS_TO_BILL", '{"a": 1.0}', "metrics_to_bill", '{"a": 1.0}'),
        ("MAIL_FROM", "cloud@example.org", "mail_from", "cloud@example.org"),
        ("MAIL_SMTP_SERVER", "smtp.example.org", "mail_host", "smtp.example.org"),
        ("MAIL_SMTP_PORT", "587", "mail_port", 587),
        ("MAIL_SMTP_USER", "me", "mail_user", "me"),
        ("API_CONTACT_BASE_URL", "https://p.example/", "portal_url", "https://p.example"),
        ("API_CONTACT_KEY", "k", "portal_key", SecretStr("k")),
        ("CLOUD_GOVERNANCE_MAIL", "g@example.org", "mail_cc", ["g@example.org"]),
    ],
)
def test_an_old_name_is_understood_with_a_warning_that_names_the_new_one(
    environment: Set, old: str, value: str, new: str, expected: object
) -> None:
    environment(**{old: value})

    settings, warnings = read_settings()

    assert getattr(settings, new) == expected
    assert any(one.startswith(f"{old}: set OS_CREDITS_{new.upper()} instead") for one in warnings)


def test_old_names_are_read_from_the_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('ENDPOINTS_ONLY=True\nMETRICS_TO_BILL={"a": 1.0}\n')

    settings, _ = read_settings()

    assert settings.endpoints_only
    assert json.loads(settings.metrics_to_bill) == {"a": 1.0}


def test_the_new_name_wins(environment: Set, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OS_CREDITS_PORT=9000\n")
    environment(CREDITS_PORT="8002")

    settings, warnings = read_settings()

    assert settings.port == 9000
    assert warnings == ["CREDITS_PORT is ignored, since OS_CREDITS_PORT is set"]


def test_a_bad_value_of_an_old_name_is_named_by_the_old_name(environment: Set) -> None:
    environment(CREDITS_PORT="many")

    with refused("^CREDITS_PORT: "):
        read_settings()


def test_the_old_database_settings_become_a_url(environment: Set) -> None:
    environment(
        POSTGRES_HOST="timescaledb",
        POSTGRES_DB="credits_db",
        POSTGRES_USER="me",
        POSTGRES_PASSWORD="p@ss:w/rd%",
    )

    settings, warnings = read_settings()

    assert settings.database_url == "postgresql://me:p%40ss%3Aw%2Frd%25@timescaledb:5432/credits_db"
    (warning,) = warnings
    assert warning == (
        "POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER, POSTGRES_PASSWORD: set "
        "OS_CREDITS_DATABASE_URL instead; read as postgresql://me:...@timescaledb:5432/credits_db"
    )


def test_the_old_database_settings_have_their_old_defaults(environment: Set) -> None:
    environment(POSTGRES_HOST="2001:db8::1")

    assert read_settings()[0].database_url == "postgresql://postgres@[2001:db8::1]:5432/credits_db"


def test_a_bad_old_port_is_named(environment: Set) -> None:
    environment(POSTGRES_PORT="many")

    with refused("^POSTGRES_PORT: "):
        read_settings()


def test_the_old_api_key_becomes_the_administrators(environment: Set) -> None:
    environment(API_KEY="0123456789abcdef0123456789")

    settings, warnings = read_settings()

    assert settings.admin_key.get_secret_value() == "0123456789abcdef0123456789"
    (warning,) = warnings
    assert warning == (
        "API_KEY: set OS_CREDITS_ADMIN_KEY instead; better, make keys by os-credits key add, "
        "one for each use"
    )


@pytest.mark.parametrize("value", ["super-secret", '"change-me-but-not-to-123"'])
def test_a_published_api_key_opens_nothing(environment: Set, value: str) -> None:
    environment(API_KEY=value)

    settings, warnings = read_settings()

    assert settings.admin_key.get_secret_value() == ""
    assert [True] == [one.startswith("API_KEY is ignored: ") for one in warnings]


@pytest.mark.parametrize(
    "value, tls", [("", "starttls"), ("False", "starttls"), ("1", "none"), ("true", "none")]
)
def test_old_mail_settings_send_by_starttls_unless_told_not_to(
    environment: Set, value: str, tls: str
) -> None:
    environment(MAIL_SMTP_USER="me", MAIL_NOT_STARTTLS=value)

    settings, _ = read_settings()

    assert (settings.mail_host, settings.mail_tls) == ("localhost", tls)


def test_the_new_way_to_encrypt_mail_wins(environment: Set) -> None:
    environment(MAIL_SMTP_SERVER="smtp", MAIL_NOT_STARTTLS="1", OS_CREDITS_MAIL_TLS="tls")

    settings, warnings = read_settings()

    assert settings.mail_tls == "tls"
    assert "MAIL_NOT_STARTTLS is ignored, since OS_CREDITS_MAIL_TLS is set" in warnings


def test_the_two_prices_of_old_become_prices_of_metrics(environment: Set) -> None:
    environment(VCPU_CREDIT_PER_HOUR="2", RAM_CREDIT_PER_HOUR="0.5")

    settings, _ = read_settings()

    assert json.loads(settings.metrics_to_bill) == {
        "project_vcpu_usage": "2",
        "project_mb_usage": "0.5",
    }


def test_prices_by_metric_win_over_the_two_of_old(environment: Set) -> None:
    environment(VCPU_CREDIT_PER_HOUR="2", METRICS_TO_BILL='{"a": 1}')

    settings, warnings = read_settings()

    assert settings.metrics_to_bill == '{"a": 1}'
    assert "VCPU_CREDIT_PER_HOUR is ignored, since METRICS_TO_BILL is set" in warnings


def test_all_mail_goes_to_the_one_address_that_it_went_to_before(environment: Set) -> None:
    environment(MAIL_SMTP_SERVER="smtp", NOTIFICATION_TO_OVERWRITE="me@example.org")

    settings, warnings = read_settings()

    assert (settings.mail_host, settings.mail_override_address) == ("smtp", "me@example.org")
    assert any("set OS_CREDITS_MAIL_OVERRIDE_ADDRESS instead" in one for one in warnings)


def test_a_webhook_needs_a_secret(environment: Set) -> None:
    environment(OS_CREDITS_WEBHOOK_URL="https://hook.example/token")

    with refused("OS_CREDITS_WEBHOOK_URL needs OS_CREDITS_WEBHOOK_SECRET to sign with$"):
        read_settings()


def test_a_portal_key_that_goes_unencrypted_is_told(environment: Set) -> None:
    environment(OS_CREDITS_PORTAL_KEY="k", OS_CREDITS_PORTAL_URL="http://portal.example/")

    settings, warnings = read_settings()

    assert settings.portal_url == "http://portal.example"
    assert [one for one in warnings if "OS_CREDITS_PORTAL_KEY goes over the network" in one]


@pytest.mark.parametrize("name", [*GONE])
def test_an_old_name_without_effect_is_told(environment: Set, name: str) -> None:
    environment(**{name.upper(): "1"})

    warnings = read_settings()[1]

    assert [True] == [one.startswith(f"{name.upper()} ") for one in warnings]


def test_old_names_that_are_blank_say_nothing() -> None:
    found = translate(dict.fromkeys(OLD_NAMES, ""))

    assert (found.values, found.warnings) == ({}, [])


@pytest.mark.parametrize(
    "written, digits",
    [("0.01", 2), ("0.1", 1), ("0.000001", 6), ("1.0", 0), ("2", "2"), ("0.02", "0.02")],
)
def test_a_precision_is_digits_or_their_smallest_step(written: str, digits: object) -> None:
    assert digits_of(written) == digits


def test_an_old_precision_is_told(environment: Set) -> None:
    environment(OS_CREDITS_PRECISION="0.001")

    settings, warnings = read_settings()

    assert settings.precision == 3
    assert warnings == ["OS_CREDITS_PRECISION: write 3 instead of 0.001"]


@pytest.mark.parametrize(
    "written, names",
    [
        ("alpha;beta, gamma", ["alpha", "beta, gamma"]),
        ("alpha,beta", ["alpha", "beta"]),
        ("a, b;", ["a, b"]),
        (" ", None),
        ("", None),
    ],
)
def test_a_whitelist_is_separated_by_commas_or_as_of_old(
    written: str, names: list[str] | None
) -> None:
    assert names_of(written) == names


def test_an_old_whitelist_is_told(environment: Set) -> None:
    environment(OS_CREDITS_PROJECT_WHITELIST="alpha;beta")

    settings, warnings = read_settings()

    assert settings.project_whitelist == ["alpha", "beta"]
    assert warnings == ["OS_CREDITS_PROJECT_WHITELIST: separate the names by commas"]
