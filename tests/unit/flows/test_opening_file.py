"""The file of an opening: every mistake names its project and field before anything is written."""

import json
from typing import Any

import pytest

from os_credits.domain.meter import MeterDefinition, MeterKind, MeterVersion
from os_credits.domain.period import EPOCH
from os_credits.errors import InvalidInput
from os_credits.flows.label_reading import Limits
from os_credits.flows.opening_file import check_opening, read_opening

LIMITS = Limits(8, 64, 100)
LABELS = {"site": "1", "id": "p1", "name": "alpha", "server": "s"}


def version(number: int, name: str, kind: MeterKind, **more: Any) -> MeterVersion:
    definition = MeterDefinition(
        name=name, metric=f"{name}_total", kind=kind, unit="hour", site="site",
        project_id="id", project_name="name", resource="server", **more,
    )  # fmt: skip
    return MeterVersion(number, number, definition, EPOCH, None)


VERSIONS = [
    version(1, "vcpu", MeterKind.COUNTER, match={"status": ["on"]}),
    version(2, "ram", MeterKind.COUNTER),
    version(3, "disk", MeterKind.GAUGE),
]


def counter(**changes: Any) -> dict[str, Any]:
    time = "2026-01-31T11:00:00Z"
    return {"meter": "ram", "labels": LABELS, "value": 12.5, "time": time} | changes


def project(**changes: Any) -> dict[str, Any]:
    return {
        "site": "1",
        "project_id": "p1",
        "name": "alpha",
        "grants": [{"id": "2025", "amount": "100", "reason": "budget"}],
        "charged": [{"meter": "ram", "credits": "12.345678"}, {"meter": "disk", "credits": 3}],
        "counters": [counter()],
    } | changes


def text_of(*projects: dict[str, Any], **changes: Any) -> str:
    head = {"source": "old", "as_of": "2026-01-31T12:00:00+00:00", "projects": projects}
    return json.dumps(head | changes)


def problem(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        check_opening(read_opening(text), VERSIONS, LIMITS)
    return str(caught.value)


def test_a_good_file_is_read_to_the_last_digit() -> None:
    text = text_of(project(counters=[counter(value="4000000000000.0004882812501")]))

    [checked] = check_opening(read_opening(text), VERSIONS, LIMITS)

    assert [str(one.credits) for one in checked.opening.charged] == ["12.345678", "3.000000"]
    [last] = checked.counters["ram"]
    assert (last.value, last.time_ms, last.read.resource) == (4e12 + 2.0**-11, 1769857200000, "s")


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("charged", [{"meter": "ram", "credits": 1.5}], "charged.0.credits: must be a text like"),
        ("charged", [{"meter": "ram", "credits": "1e-7"}], "charged.0.credits: at most six"),
        ("charged", [{"meter": "ram", "credits": "-1"}], "charged.0.credits: must not be negative"),
        ("charged", [{"meter": "gpu", "credits": "1"}], "charged.0.meter: there is no meter 'gpu'"),
        ("charged", [{"meter": "ram", "credits": "1"}] * 2, "several charges of the meter 'ram'"),
        ("grants", [{"id": "a", "amount": "0"}], "grants.0.amount: must be more than 0"),
        ("grants", [{"id": "a", "amount": "1"}] * 2, "several grants with the id 'a'"),
        ("owners", [{"email": "a@b, c@d"}], "owners.0.email: "),
        ("name", "", "name: "),
        ("nmae", "x", "nmae: Extra inputs"),
        ("counters", [counter(meter="gpu")], "counters.0.meter: there is no meter 'gpu'"),
        ("counters", [counter(meter="disk")], "counters.0.meter: disk is a gauge"),
        ("counters", [counter(meter="vcpu")], "counters.0.labels: vcpu does not count such"),
        ("counters", [counter(labels={"site": "1"})], "counters.0.labels: meter ram needs"),
        ("counters", [counter(labels=LABELS | {"id": "p2"})], "project_id 'p2'"),
        ("counters", [counter(labels=LABELS | {"__name__": "x"})], "leave it out"),
        ("counters", [counter(labels=LABELS | {"x": "y" * 65})], "longer than 64 bytes"),
        ("counters", [counter(value=-1)], "counters.0.value: must be a finite number"),
        ("counters", [counter(value=True)], "counters.0.value: must be a number"),
        ("counters", [counter(value="1e30")], "counters.0.value: is beyond the range"),
        ("counters", [counter(time="2026-01-31T11:00:00")], "counters.0.time: must be a time with"),
        ("counters", [counter(time="2026-01-31T12:00:01Z")], "later than as_of"),
        ("counters", [counter(), counter(value=1)], "is the same counter as counters.0"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_project_and_the_field(field: str, value: object, words: str) -> None:
    good, bad = project(project_id="p0", counters=[]), project(**{field: value})

    told = problem(text_of(good, bad))

    assert words in told
    named = told.startswith(("projects.1 ('", "projects.1: "))
    assert named or "project 'alpha'" in told


def test_a_number_that_json_does_not_know_is_refused() -> None:
    assert "NaN is no number" in problem(text_of(project(counters=[counter(value=float("nan"))])))


def test_a_field_given_twice_is_refused() -> None:
    assert "'site' is given twice" in problem('{"site": 1, "site": 2}')


def test_two_projects_with_one_key_are_refused() -> None:
    told = problem(text_of(project(), project(name="beta", counters=[])))

    assert "several projects with the key of site '1', project_id 'p1'" in told


def test_a_file_of_the_wrong_form_is_refused() -> None:
    assert "is no JSON" in problem("source: old")
    assert "projects" in problem('{"source": "old", "as_of": "2026-01-31T12:00:00Z"}')
    assert "projects.0" in problem(text_of(projects=[7]))
    assert "is no JSON" in problem("[" * 100_000)
