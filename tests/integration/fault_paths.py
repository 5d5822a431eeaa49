"""The paths of the service, every statement of which is to fail."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.integration.fault_steps import (
    Grant,
    Owner,
    Push,
    Step,
    book_closed,
    check,
    deliver_due,
    deliver_later,
    exclude_some,
    import_old,
    rate,
)
from tests.integration.fault_waves import FIRST, LATER, SECOND, THIRD


@dataclass(frozen=True)
class Path:
    """Steps that prepare, the step that fails, and words that its statements must hold.

    `is_cold`: a copy that has just started does it, else one that remembers.
    """

    name: str
    before: tuple[Step, ...]
    act: Step
    must: tuple[str, ...] = field(default=(), kw_only=True)
    is_cold: bool = field(default=False, kw_only=True)

    @property
    def afterwards(self) -> tuple[Step, ...]:
        """Give what everybody does next: the samples again, later ones, and the clock's jobs."""
        again = [sample for push in self.waves for sample in push.wave]
        tells = any(step in (check, deliver_due) for step in (*self.before, self.act))
        return (
            self.act, Push([*again, *LATER]), book_closed,
            *((check, deliver_later) if tells else ()),
        )  # fmt: skip

    @property
    def waves(self) -> list[Push]:
        """Give what was pushed, the last by the step that fails if it is a push at all."""
        return [step for step in (*self.before, self.act) if isinstance(step, Push)]


RATED: tuple[Step, ...] = (Push([*FIRST, *SECOND]), rate)
CROSSED: tuple[Step, ...] = (*RATED, Grant(70))
KIND_OWNER, SLOW_OWNER, GONE_OWNER = (Owner(f"{name}.example") for name in ("kind", "slow", "gone"))
PATHS = (
    Path("ingest, nothing known", (), Push(FIRST), is_cold=True,
         must=("INTO project", "INTO flavor", "INTO series", "INTO label_set", "INTO batch")),
    Path("ingest, all known", (Push(SECOND),), Push(SECOND), must=("INTO batch",)),
    Path("rate, nothing known", (Push(FIRST),), rate, is_cold=True,
         must=("DELETE FROM batch", "copy_to_table: sample_block", "usage")),
    Path("rate, late and twice", (Push(FIRST), rate, Push(SECOND)), rate,
         must=("DELETE FROM batch", "DELETE FROM sample_block", "copy_to_table: sample_block",
               "UPDATE usage", "UPDATE project", "INTO charge")),
    Path("book, usage", RATED, book_closed,
         must=("SET closed_until", "INTO entry", "UPDATE charge")),
    Path("book, rated meanwhile", (*RATED, book_closed, Push(THIRD)), book_closed,
         must=("DELETE FROM batch", "INTO charge", "INTO entry", "UPDATE charge")),
    Path("grant", (*CROSSED, check), Grant(500),
         must=("INTO project_grant", "INTO entry", "INTO told_line")),
    Path("notice", (*CROSSED, KIND_OWNER), check,
         must=("INTO notice", "WITH told AS", "INTO told_line")),
    Path("deliver", (*CROSSED, KIND_OWNER, check), deliver_due,
         must=("UPDATE mail", "send a mail", "state = 'sent'")),
    Path("deliver, later", (*CROSSED, SLOW_OWNER, check), deliver_due,
         must=("send a mail", "SET last_error")),
    Path("deliver, refused", (*CROSSED, GONE_OWNER, check), deliver_due,
         must=("send a mail", "state = 'refused'")),
)  # fmt: skip
# Tried with FAULTS=all only, since they are long.
LONG_PATHS = (
    Path("exclude", RATED, exclude_some,
         must=("INTO exclusion", "DELETE FROM sample_block", "INTO charge")),
    Path("import opening", RATED, import_old,
         must=("INTO project_grant", "INTO entry", "INTO exclusion", "INTO batch")),
)  # fmt: skip
BY_NAME = {path.name: path for path in (*PATHS, *LONG_PATHS)}
