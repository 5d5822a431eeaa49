"""Writes points of line protocol by its published grammar, together with what they mean.

The productions are those of influxdata/line-protocol, `line-protocol.ebnf`; nothing of the
service's own reading is used.
"""

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

INT64_MIN, INT64_MAX, UINT64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
TRUE, FALSE = ("t", "T", "true", "True", "TRUE"), ("f", "F", "false", "False", "FALSE")
LETTERS = string.ascii_letters + string.digits
# What stands in names as it is. The last ones would end a line for some programs, or are not seen.
REGULAR = LETTERS + "_-.:/#\"'`{}[]äßЖ中\U0001f600\x85\u2028\u2029\xa0\ufeff"
IN_MEASUREMENT, IN_KEY = ", ", ",= "
IN_STRINGS = REGULAR.replace('"', "") + ",= #\n\r\t\v\f\x00\x1b\x7f\n"


@dataclass(frozen=True, slots=True)
class Point:
    """A point without its time, as written and as meant; of a repeated field the last counts."""

    measurement: str
    tags: Mapping[str, str]
    numbers: Mapping[str, float]
    texts: frozenset[str]
    series: str
    fields: str

    def metric(self, name: str) -> str:
        """Name the metric of a field."""
        if name == "value":
            return self.measurement
        return name if self.measurement == "prometheus" else f"{self.measurement}_{name}"


class LineWriter:
    """Chooses by a seed among all that the grammar allows."""

    def __init__(self, seed: int | str) -> None:
        self.random = random.Random(seed)

    def once_in(self, times: int) -> bool:
        """Say yes once in so many times."""
        return not self.random.randrange(times)

    def spaces(self, least: int) -> str:
        """Write so many spaces, or a few more."""
        return " " * (least + (self.random.randrange(1, 4) if self.once_in(4) else 0))

    def name(self, specials: str, regular: str = REGULAR) -> tuple[str, str]:
        """Write a measurement or a key; gives it as written and as meant.

        A backslash is itself before anything that is not special, so none may stand at the end.
        """
        signs = self.random.choices(regular, k=self.random.randint(1, 5))
        for _ in range(self.random.randrange(4)):
            place = self.random.randrange(len(signs))
            signs.insert(place, self.random.choice(specials + "\\"))
        meant = "".join(signs)
        if specials == IN_MEASUREMENT and meant.startswith("#"):
            meant = f"x{meant}"
        return "".join(f"\\{sign}" if sign in specials else sign for sign in meant), meant

    def digits(self) -> str:
        """Write some digits."""
        return "".join(self.random.choices(string.digits, k=self.random.randint(1, 6)))

    def floating(self) -> tuple[str, float]:
        """Write a float in one of its forms; what it means is computed with whole numbers."""
        sign = "-" if self.once_in(3) else ""
        whole, point, fraction = self.digits(), self.random.choice(["", "."]), ""
        if point and self.once_in(2):
            fraction = self.digits()
            whole = "" if self.once_in(3) else whole
        exponent, power = 0, ""
        if self.once_in(2):
            exponent = self.random.randint(-330, 290)
            plus = "+" if exponent >= 0 and self.once_in(2) else ""
            power = f"{self.random.choice('eE')}{plus}{exponent}"
        value = Fraction(int(whole + fraction), 10 ** len(fraction)) * Fraction(10) ** exponent
        return f"{sign}{whole}{point}{fraction}{power}", float(-value if sign else value)

    def integer(self) -> tuple[str, float]:
        """Write a signed or unsigned integer, often at an edge."""
        low, high, mark = self.random.choice([(INT64_MIN, INT64_MAX, "i"), (0, UINT64_MAX, "u")])
        number = self.random.choice([low, high, 0, 1, 2**53 + 1, self.random.randint(low, high)])
        zeros = "0" * (self.random.randrange(30) if self.once_in(4) else 0)
        return f"{'-' if number < 0 else ''}{zeros}{abs(number)}{mark}", float(number)

    def number(self) -> tuple[str, float]:
        """Write a float, an integer or a boolean."""
        if self.once_in(5):
            is_true = self.once_in(2)
            return self.random.choice(TRUE if is_true else FALSE), float(is_true)
        return self.integer() if self.once_in(3) else self.floating()

    def text(self) -> str:
        """Write a string, which may hold any character, raw newlines among them."""
        signs = self.random.choices(IN_STRINGS, k=self.random.randrange(10))
        for _ in range(self.random.randrange(3)):
            place = self.random.randint(0, len(signs))
            signs.insert(place, "\\" + self.random.choice(IN_STRINGS + '"\\'))
        return f'"{"".join(signs)}"'

    def tags(self, count_max: int = 4) -> dict[str, tuple[str, str]]:
        """Write tags: by the name that is meant, the tag as written and the value as meant."""
        tags: dict[str, tuple[str, str]] = {}
        for _ in range(self.random.randint(0, count_max)):
            (name, meant), (value, meant_value) = self.name(IN_KEY), self.name(IN_KEY)
            if meant not in tags and meant not in ("time", "__name__"):
                tags[meant] = f",{name}={value}", meant_value
        return tags

    def point(self, *own_fields: str) -> Point:
        """Write measurement, tags and fields; `own_fields` are written among the others."""
        written_measurement, measurement = self.name(IN_MEASUREMENT, REGULAR + "=")
        if self.once_in(5):
            written_measurement = measurement = "prometheus"
        tags = self.tags()
        numbers: dict[str, float] = {}
        texts: set[str] = set()
        fields = []
        for _ in range(self.random.randint(1, 4)):
            written, name = ("value", "value") if self.once_in(3) else self.name(IN_KEY)
            if name == "time":
                continue
            numbers.pop(name, None)
            texts.discard(name)
            if self.once_in(4):
                value = self.text()
                texts.add(name)
            else:
                value, numbers[name] = self.number()
            fields.append(f"{written}={value}")
        for one in own_fields:
            fields.insert(self.random.randint(0, len(fields)), one)
        return Point(
            measurement,
            {name: value for name, (_, value) in tags.items()},
            numbers,
            frozenset(texts),
            written_measurement + "".join(written for written, _ in tags.values()),
            ",".join(fields) or "value=0",
        )
