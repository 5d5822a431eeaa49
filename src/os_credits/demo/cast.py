"""Who is there in the simulated cloud: flavors, four projects, their servers and volumes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum

# What the shipped meter file charges; the budgets of the four projects are sized by it.
CREDITS_PER_VCPU_HOUR = Decimal(1)
CREDITS_PER_GIB_HOUR = Decimal("0.3")
CREDITS_PER_VOLUME_GIB_HOUR = Decimal("0.001")


class Flavor(Enum):
    """Hardware configurations: virtual CPUs, GiB of memory, credits per hour."""

    SMALL = ("m1.small", 1, 2, Decimal("1.6"))
    MEDIUM = ("m1.medium", 2, 4, Decimal("3.2"))
    LARGE = ("m1.large", 4, 8, Decimal("6.4"))
    XLARGE = ("m1.xlarge", 8, 16, Decimal("12.8"))
    GPU = ("g1.large", 16, 64, Decimal(60))

    def __init__(self, label: str, vcpus: int, memory_gib: int, credits_per_hour: Decimal) -> None:
        self.label = label
        self.vcpus = vcpus
        self.memory_gib = memory_gib
        self.credits_per_hour = credits_per_hour


class Rhythm(StrEnum):
    """When a server runs."""

    ALWAYS = "always"
    """Day and night."""
    OFFICE = "office"
    """On working days, about eight to six; stopped otherwise."""
    COURSE = "course"
    """Tuesdays and Thursdays, during lessons; stopped otherwise."""
    NIGHTLY = "nightly"
    """A few hours from late evening on; a new server each night."""
    CAMPAIGN = "campaign"
    """Long runs on some days; a new server for each run."""

    @property
    def leaves(self) -> bool:
        """Tell whether the server is deleted after each run, instead of being stopped."""
        return self in {Rhythm.NIGHTLY, Rhythm.CAMPAIGN}


class Door(StrEnum):
    """By which protocol a project's servers are reported."""

    REMOTE_WRITE = "remote_write"
    LINES = "lines"


class Measure(StrEnum):
    """What is reported of a project's servers."""

    COUNTERS = "counters"
    """Running totals of vCPU-hours and GiB-hours for the project as a whole."""
    INVENTORY = "inventory"
    """Each server with its flavor and status."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server; with several flavors it is resized each Monday to the next of them."""

    name: str
    rhythm: Rhythm
    flavors: tuple[Flavor, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that was created with a size in GiB and grows by `growth_gib` every week."""

    name: str
    size_gib: int
    growth_gib: int = 0


@dataclass(frozen=True, slots=True)
class Owner:
    """A person who is told when a project's credits run low."""

    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project and its budget.

    Once its history is there, either `left_percent` of its credits are left, or what it uses
    in `left_minutes` at the pace of that moment.
    """

    id: str
    name: str
    site: str
    domain: str
    measure: Measure
    door: Door
    servers: tuple[Server, ...]
    volumes: tuple[Volume, ...]
    owners: tuple[Owner, ...]
    left_percent: int = 0
    left_minutes: int = 0


COMFORTABLE = Project(
    id="7c1e0b6f52d94a5c8f3a2e9d41b07a66",
    name="genome-atlas",
    site="bielefeld",
    domain="elixir",
    measure=Measure.COUNTERS,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("atlas-web", Rhythm.ALWAYS, (Flavor.SMALL,)),
        Server("atlas-database", Rhythm.ALWAYS, (Flavor.MEDIUM,)),
        Server("atlas-import", Rhythm.NIGHTLY, (Flavor.XLARGE,)),
        Server("atlas-desk", Rhythm.OFFICE, (Flavor.MEDIUM, Flavor.LARGE)),
    ),
    volumes=(Volume("atlas-data", 2000, 5), Volume("atlas-scratch", 500)),
    owners=(Owner("ada@genome-atlas.example", "Ada Krause"),),
    left_percent=82,
)
BELOW_HALF = Project(
    id="2f8a6d0c9b374e1dae56c10f7d92b3e4",
    name="plant-pathways",
    site="bielefeld",
    domain="elixir",
    measure=Measure.COUNTERS,
    door=Door.LINES,
    servers=(
        Server("pathways-hub", Rhythm.ALWAYS, (Flavor.LARGE,)),
        Server("pathways-run", Rhythm.CAMPAIGN, (Flavor.XLARGE,)),
        Server("pathways-desk", Rhythm.OFFICE, (Flavor.SMALL,)),
    ),
    volumes=(Volume("pathways-data", 800),),
    owners=(
        Owner("ben@plant-pathways.example", "Ben Okafor"),
        Owner("chiara@plant-pathways.example", "Chiara Rossi"),
    ),
    left_percent=41,
)
NEARLY_USED = Project(
    id="b94d27e18c0f4f6a9a7350e6d81f2c05",
    name="imaging-course",
    site="freiburg",
    domain="galaxy",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("course-gateway", Rhythm.ALWAYS, (Flavor.SMALL,)),
        *(Server(f"course-seat-{seat}", Rhythm.COURSE, (Flavor.LARGE,)) for seat in range(1, 7)),
        Server("course-prepare", Rhythm.OFFICE, (Flavor.MEDIUM,)),
    ),
    volumes=(Volume("course-images", 1200, 8),),
    owners=(Owner("dora@imaging-course.example", "Dora Lindqvist"),),
    left_percent=14,
)
SOON_IN_DEBT = Project(
    id="e05b3a7741f84c2c8d19f6ab20c7d5f3",
    name="protein-folding",
    site="freiburg",
    domain="galaxy",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("folding-head", Rhythm.ALWAYS, (Flavor.LARGE, Flavor.XLARGE)),
        Server("folding-gpu", Rhythm.ALWAYS, (Flavor.GPU,)),
        Server("folding-night", Rhythm.NIGHTLY, (Flavor.GPU,)),
        Server("folding-batch", Rhythm.CAMPAIGN, (Flavor.XLARGE,)),
    ),
    volumes=(Volume("folding-models", 4000, 10), Volume("folding-results", 1500, 5)),
    owners=(Owner("emil@protein-folding.example", "Emil Novak"),),
    left_minutes=20,
)

PROJECTS = (COMFORTABLE, BELOW_HALF, NEARLY_USED, SOON_IN_DEBT)
