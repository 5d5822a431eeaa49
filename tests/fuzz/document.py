"""Ask every operation of the OpenAPI document at random, and hold the answers to the document.

schemathesis makes up the requests, fitting and not; half of the names in them are of what is
there, since hardly anything is behind made-up ones.
"""

import random
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

from tests.fuzz import seeds
from tests.fuzz.mutations import bytes_mutator

KNOWN: Mapping[str, tuple[str, ...]] = {
    "project": ("alpha", "id/alpha", "#1", "Alpha"),
    "project_name": ("alpha", "id/alpha", "beta"),
    "meter": ("project_vcpu_usage", "openstack_nova_server_status"),
    "flavor": ("m1.large", "m1.small"),
    "site": ("site1", ""),
    "organisation": ("denbi",),
    "entry_id": ("1", "2", "3"),
    "exclusion": ("1",),
}
KNOWN_SHARE = 0.5
SECONDS_MAX = 30.0
SHOWN_LENGTH_MAX = 400
# So begins the answer to a request line that is refused before any operation is found.
LINE_TOO_LONG = "Got more than 8190 bytes"
MODE = st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@dataclass
class Answers:
    """How many requests were answered, with which statuses, and what contradicts the document."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Count the answers."""
        return self.statuses.total()


@dataclass
class Asker:
    """Asks one service, each operation with each key in turn (None: without one)."""

    url: str
    keys: Mapping[str, str | None]
    examples: int
    number: int
    answers: Answers = field(default_factory=Answers)

    def ask_everything(self) -> Answers:
        """Ask each operation so many times, from this seed on."""
        with _calm(), requests.Session() as session:
            document = session.get(f"{self.url}/openapi.json", timeout=SECONDS_MAX).json()
            for result in schemathesis.openapi.from_dict(document).get_all_operations():
                operation = result.ok()  # type: ignore[union-attr] # a broken document may raise
                self._ask(session, operation)
        return self.answers

    def _ask(self, session: requests.Session, operation: Any) -> None:
        whose = cycle(self.keys)

        @seed(self.number)
        @settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data(), st.randoms(use_true_random=False))
        def ask(data: st.DataObject, chance: random.Random) -> None:
            case = data.draw(MODE.flatmap(operation.as_strategy))
            _name_what_is_there(case, chance)
            name = next(whose)
            key = self.keys[name]
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            response = case.call(self.url, session=session, headers=headers, timeout=SECONDS_MAX)
            if LINE_TOO_LONG not in response.text:
                self._judge(f"{operation.label} ({name})", case, response)

        ask()

    def _judge(self, who: str, case: Any, response: Any) -> None:
        self.answers.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            for one in getattr(failure, "exceptions", [failure]):
                kind = f"{who}: {str(one).splitlines()[0]}"
                told = f"{one}\n{case.as_curl_command()}\n{response.text[:SHOWN_LENGTH_MAX]}"
                self.answers.wrong.setdefault(kind, told)


def _name_what_is_there(case: Any, chance: random.Random) -> None:
    for values in (case.path_parameters, case.query):
        for name in sorted(set(values or ()) & set(KNOWN)):
            if chance.random() < KNOWN_SHARE:
                values[name] = chance.choice(KNOWN[name])


CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@schemathesis.serializer("application/x-protobuf")
def _message(_context: Any, value: Any) -> bytes:
    """Send a body of a real sender, now and then a damaged one: the document knows none."""
    bodies = [one[1:] for one in seeds.packed()]
    chance = random.Random(repr(value))
    body = chance.choice(bodies)
    return bytes_mutator(chance)(body) if chance.random() < 0.3 else body


@contextmanager
def _calm() -> Iterator[None]:
    """Let what schemathesis and Hypothesis warn of be no error of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
