"""Generated lines about a meter that the service has: what must be stored of them in the end."""

from collections import Counter
from dataclasses import dataclass

from tests.acceptance.stored import SamplePlace
from tests.conformance.line_bodies import FAULTS, Body
from tests.conformance.line_writer import IN_KEY, LineWriter, Point

METER = "project_vcpu_usage"
DAYS_BACK = 30
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class DoorBody:
    """A body, the samples that it means, and what else it holds, counted."""

    text: str
    samples: dict[SamplePlace, float]
    unknown: Counter[str]
    billed_texts: int
    refused: list[tuple[int, str]]


def write_door_body(seed: str, precision: str, line_count: int, now_ms: int) -> DoorBody:
    """Write lines of odd projects, with other fields beside the meter's, and bad lines between."""
    body = Body(LineWriter(seed), precision)
    faults = [fault for fault in FAULTS if fault.__name__ != "_not_utf8"]
    samples: dict[SamplePlace, float] = {}
    for number in range(line_count):
        if body.writer.once_in(5):
            body.writer.random.choice(faults)(body)
        elif body.writer.once_in(8):
            body.add_nothing()
        else:
            project, time = f" {precision} {number}", _time(body, now_ms)
            point = _point(body.writer, project)
            body.add_point(point, time)
            place = METER, point.tags["project_id"], "", time * body.nanoseconds // 10**6
            if "value" in point.numbers:
                samples[place] = point.numbers["value"]
    return DoorBody(
        body.whole().decode(),
        samples,
        Counter(name for name, count in _metrics(body).items() for _ in range(count)),
        body.texts[METER],
        body.refused,
    )


def _time(body: Body, now_ms: int) -> int:
    back_ms = body.writer.random.randrange(DAYS_BACK * DAY_MS)
    return (now_ms - back_ms) * 10**6 // body.nanoseconds


def _point(writer: LineWriter, unique: str) -> Point:
    """Write a point of the meter: its value may be text, and other fields stand round it."""
    name, project = writer.name(IN_KEY)
    end = unique.replace(" ", "\\ ")
    value = writer.random.randrange(10**9) / 1000
    fields, texts, numbers = [], set(), {"value": value}
    written_value = f"value={value!r}"
    if writer.once_in(10):
        written_value, numbers, texts = f"value={writer.text()}", {}, {"value"}
    if writer.once_in(2):
        fields.append(f"note={writer.text()}")
        texts.add("note")
    fields.insert(writer.random.randint(0, len(fields)), written_value)
    if writer.once_in(3):
        fields.append("other=1i")
        numbers["other"] = 1.0
    return Point(
        METER,
        {"project_id": project + unique},
        numbers,
        frozenset(texts),
        f"{METER},project_id={name}{end}",
        ",".join(fields),
    )


def _metrics(body: Body) -> Counter[str]:
    """Count the samples of metrics that no meter names."""
    names: Counter[str] = Counter()
    for row, count in body.rows.items():
        names[dict(row.labels)["__name__"]] += count
    del names[METER]
    return names
