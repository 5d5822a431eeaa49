"""The files around the code that nothing else here runs: Docker's, compose's, the Makefile."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
MAKEFILE = (CHECKOUT / "Makefile").read_text()
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
DOCKERFILE = (CHECKOUT / "Dockerfile.dev").read_text()


@pytest.fixture
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
    return content


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # A make that runs this test must not hand its own variables to the make under test.
    inherited = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        words,
        cwd=CHECKOUT,
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_dockerfile_pleases_its_linter() -> None:
    linter = shutil.which("hadolint", path=Path(sys.executable).parent)
    if not linter:
        pytest.skip("there is no hadolint for this machine")

    result = run(linter, "Dockerfile.dev")

    assert (result.returncode, result.stdout) == (0, "")


def test_the_dockerfile_copies_only_what_is_there() -> None:
    copied = [
        word
        for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    ]

    assert copied
    assert [path for path in copied if not (CHECKOUT / path).exists()] == []


def test_docker_is_given_what_the_dockerfile_copies() -> None:
    given = re.findall(r"^!(\S+)$", (CHECKOUT / ".dockerignore").read_text(), re.MULTILINE)
    copied = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)

    assert sorted({path.removeprefix("./") for line in copied for path in line.split()}) == given


def test_compose_file_fits_the_specification() -> None:
    result = run(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "compose.yaml",
    )

    assert result.returncode == 0, result.stdout


def test_compose_pins_images_and_keeps_data_in_its_volume(compose: dict[str, Any]) -> None:
    services = compose["services"]
    images = [service["image"] for service in services.values() if "image" in service]

    assert [image for image in images if not re.search(r":v?\d+\.\d+", image)] == []
    assert re.search(r"^timescale/timescaledb:\S+-pg\d+$", services["timescaledb"]["image"])
    assert "credits_data:/var/lib/postgresql/data" in services["timescaledb"]["volumes"]
    assert "credits_data" in compose["volumes"]


def test_compose_starts_service_and_database_unless_a_profile_asks_for_more(
    compose: dict[str, Any],
) -> None:
    started = {name for name, service in compose["services"].items() if "profiles" not in service}

    assert started == {"os_credits", "migrate", "timescaledb"}


def test_compose_gives_the_owner_of_the_tables_to_migrate_only(compose: dict[str, Any]) -> None:
    variables = {
        name: service.get("environment", {}) for name, service in compose["services"].items()
    }
    urls = {
        name: {key: urlsplit(str(one)).username for key, one in each.items() if key.endswith("URL")}
        for name, each in variables.items()
    }

    assert {name: one for name, one in urls.items() if one} == {
        "os_credits": {"OS_CREDITS_DATABASE_URL": "os_credits"},
        "migrate": {
            "OS_CREDITS_DATABASE_URL": "os_credits",
            "OS_CREDITS_OWNER_DATABASE_URL": "os_credits_owner",
        },
    }


def test_compose_mounts_files_that_are_there_and_publishes_on_loopback_only(
    compose: dict[str, Any],
) -> None:
    services = compose["services"].values()
    mounted = [volume for service in services for volume in service.get("volumes", [])]
    files = [volume.partition(":")[0] for volume in mounted if volume.startswith("./")]
    ports = [port for service in services for port in service.get("ports", [])]

    assert [path for path in files if not (CHECKOUT / path).is_file()] == []
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_deployed_configurations_can_be_read() -> None:
    prometheus = yaml.safe_load((CHECKOUT / "deploy" / "prometheus.yml").read_text())
    telegraf = tomllib.loads((CHECKOUT / "deploy" / "telegraf.conf").read_text())

    assert prometheus["remote_write"][0]["url"] == "http://os_credits:8080/api/v1/write"
    assert telegraf["outputs"]["influxdb"][0]["urls"] == ["http://os_credits:8080"]


def test_make_without_a_target_shows_every_target() -> None:
    targets = set(" ".join(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)).split())

    shown = {line.split()[0] for line in run("make").stdout.splitlines()}

    assert targets
    assert targets <= shown


@pytest.mark.parametrize(
    "variables, expected",
    [
        ([], "os_credits"),
        (["DOCKER_USERNAME=denbi", "DOCKER_IMAGENAME=credits"], "denbi/credits"),
    ],
)
def test_docker_image_is_tagged_with_the_version(variables: list[str], expected: str) -> None:
    printed = run("make", "--dry-run", "docker-build", *variables).stdout

    assert f"--tag {expected}:{PROJECT['project']['version']} ." in printed


@pytest.mark.parametrize(
    "target",
    [
        "run",
        "test",
        "check",
        "senders",
        "fuzz",
        "abuse",
        "crash-test",
        "soak",
        "mutants",
        "bench",
        "bench-quick",
        "backtest",
        "bench-mail",
        "lock",
        "clean",
        "up-dev",
        "docker-build",
    ],
)
def test_make_understands_target(target: str) -> None:
    result = run("make", "--dry-run", target)

    assert (result.returncode, result.stderr) == (0, "")


def test_the_lock_names_no_place_to_fetch_from() -> None:
    lock = tomllib.loads((CHECKOUT / "poetry.lock").read_text())

    assert [package["name"] for package in lock["package"] if "source" in package] == []


def test_ci_runs_tests_and_checks() -> None:
    script = CHECKOUT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert run("sh", "-n", str(script)).returncode == 0
    assert [word for word in ("make test", "make check") if word not in script.read_text()] == []
