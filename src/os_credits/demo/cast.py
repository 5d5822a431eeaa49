"""What a simulated cloud is made of: flavors, servers, volumes, people and projects."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum

# What the shipped meter file charges; budgets are sized by it.
CREDITS_PER_VCPU_HOUR = Decimal(1)
CREDITS_PER_GIB_HOUR = Decimal("0.3")
CREDITS_PER_VOLUME_GIB_HOUR = Decimal("0.001")


class Flavor(Enum):
    """Hardware configurations: virtual CPUs, GiB of memory and disk, credits per hour.

    Those of the second provider, and the dedicated one, are priced by `demo/meters.toml`; the
    last one is not priced at all.
    """

    SMALL = ("m1.small", 1, 2, 20, Decimal("1.6"))
    MEDIUM = ("m1.medium", 2, 4, 40, Decimal("3.2"))
    LARGE = ("m1.large", 4, 8, 80, Decimal("6.4"))
    XLARGE = ("m1.xlarge", 8, 16, 160, Decimal("12.8"))
    GPU = ("g1.large", 16, 64, 320, Decimal(60))
    DEDICATED = ("c1.dedicated", 32, 128, 800, Decimal(64))
    T3_MEDIUM = ("t3.medium", 2, 4, 30, Decimal("3.1"))
    C6I_XLARGE = ("c6i.xlarge", 4, 8, 100, Decimal("7.2"))
    C6I_4XLARGE = ("c6i.4xlarge", 16, 32, 400, Decimal(29))
    R7IZ_XLARGE = ("r7iz.xlarge", 4, 32, 100, Decimal(0))

    def __init__(
        self,
        label: str,
        vcpus: int,
        memory_gib: int,
        disk_gib: int,
        credits_per_hour: Decimal,
    ) -> None:
        self.label = label
        self.vcpus = vcpus
        self.memory_gib = memory_gib
        self.disk_gib = disk_gib
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
    INSTANCES = "instances"
    """Each server of the second provider, with its type and state."""


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
class Person:
    """Somebody who is told when a project's credits run low."""

    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project, where it belongs, its people and its budget.

    Once its history is there, either `left_percent` of its credits are left (less than nothing
    is debt), or what it uses in `left_minutes` at the pace of that moment. Of its credits
    `expiring_percent` expire within days, and it is given `monthly_percent` of them again every
    month. With `fails` nobody measures its servers in one night of a fortnight.
    """

    id: str
    name: str
    site: str
    domain: str
    organisation: str
    measure: Measure
    door: Door
    servers: tuple[Server, ...]
    volumes: tuple[Volume, ...]
    owners: tuple[Person, ...]
    members: tuple[Person, ...] = ()
    left_percent: int = 0
    left_minutes: int = 0
    expiring_percent: int = 0
    monthly_percent: int = 0
    fails: bool = False
