"""Who is there in the simulated cloud: eleven projects at two providers, each with its story."""

from __future__ import annotations

from os_credits.demo.cast import (
    Door,
    Flavor,
    Measure,
    Person,
    Project,
    Rhythm,
    Server,
    Volume,
)

# Those who can log in (`logins.py`), beside an administrator.
OWNER = Person("owner@demo.example", "Ada Krause")
MEMBER = Person("member@demo.example", "Max Weber")
MANAGER = Person("manager@demo.example", "Vera Lindqvist")

COMFORTABLE = Project(
    id="7c1e0b6f52d94a5c8f3a2e9d41b07a66",
    name="genome-atlas",
    site="bielefeld",
    domain="elixir",
    organisation="Genomics",
    measure=Measure.COUNTERS,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("atlas-web", Rhythm.ALWAYS, (Flavor.SMALL,)),
        Server("atlas-database", Rhythm.ALWAYS, (Flavor.MEDIUM,)),
        Server("atlas-import", Rhythm.NIGHTLY, (Flavor.XLARGE,)),
        Server("atlas-desk", Rhythm.OFFICE, (Flavor.MEDIUM, Flavor.LARGE)),
    ),
    volumes=(Volume("atlas-data", 2000, 5), Volume("atlas-scratch", 500)),
    owners=(OWNER,),
    left_percent=82,
)
BELOW_HALF = Project(
    id="2f8a6d0c9b374e1dae56c10f7d92b3e4",
    name="plant-pathways",
    site="bielefeld",
    domain="elixir",
    organisation="Genomics",
    measure=Measure.COUNTERS,
    door=Door.LINES,
    servers=(
        Server("pathways-hub", Rhythm.ALWAYS, (Flavor.LARGE,)),
        Server("pathways-run", Rhythm.CAMPAIGN, (Flavor.XLARGE,)),
        Server("pathways-desk", Rhythm.OFFICE, (Flavor.SMALL,)),
    ),
    volumes=(Volume("pathways-data", 800),),
    owners=(
        Person("ben@plant-pathways.example", "Ben Okafor"),
        Person("chiara@plant-pathways.example", "Chiara Rossi"),
    ),
    members=(MEMBER,),
    left_percent=41,
)
NEARLY_USED = Project(
    id="b94d27e18c0f4f6a9a7350e6d81f2c05",
    name="imaging-course",
    site="freiburg",
    domain="galaxy",
    organisation="Imaging",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("course-gateway", Rhythm.ALWAYS, (Flavor.SMALL,)),
        *(Server(f"course-seat-{seat}", Rhythm.COURSE, (Flavor.LARGE,)) for seat in range(1, 7)),
        Server("course-prepare", Rhythm.OFFICE, (Flavor.MEDIUM,)),
    ),
    volumes=(Volume("course-images", 1200, 8),),
    owners=(Person("dora@imaging-course.example", "Dora Lindgren"),),
    members=(MEMBER,),
    left_percent=14,
)
SOON_IN_DEBT = Project(
    id="e05b3a7741f84c2c8d19f6ab20c7d5f3",
    name="protein-folding",
    site="freiburg",
    domain="galaxy",
    organisation="Structural Biology",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("folding-head", Rhythm.ALWAYS, (Flavor.LARGE, Flavor.XLARGE)),
        Server("folding-gpu", Rhythm.ALWAYS, (Flavor.GPU,)),
        Server("folding-night", Rhythm.NIGHTLY, (Flavor.GPU,)),
        Server("folding-batch", Rhythm.CAMPAIGN, (Flavor.XLARGE,)),
    ),
    volumes=(Volume("folding-models", 4000, 10), Volume("folding-results", 1500, 5)),
    owners=(Person("emil@protein-folding.example", "Emil Novak"), OWNER),
    left_minutes=20,
)
# Its dedicated hosts got cheaper afterwards, and one server's samples came late.
CORRECTED = Project(
    id="5a90c3d7e8b1462f9d04f1a6c27be853",
    name="single-cell",
    site="bielefeld",
    domain="elixir",
    organisation="Genomics",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("cell-dedicated", Rhythm.ALWAYS, (Flavor.DEDICATED,)),
        Server("cell-notebooks", Rhythm.ALWAYS, (Flavor.XLARGE,)),
        Server("cell-align", Rhythm.NIGHTLY, (Flavor.XLARGE,)),
    ),
    volumes=(Volume("cell-matrix", 3200, 40),),
    owners=(Person("grace@single-cell.example", "Grace Mbeki"),),
    left_percent=63,
)
# Nobody measured its servers in one night.
WITH_A_GAP = Project(
    id="c41f7ab02e9d4d6c8b35907de2f6a118",
    name="microscopy-archive",
    site="freiburg",
    domain="galaxy",
    organisation="Imaging",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("archive-gateway", Rhythm.ALWAYS, (Flavor.LARGE,)),
        Server("archive-index", Rhythm.ALWAYS, (Flavor.MEDIUM,)),
        Server("archive-viewer", Rhythm.OFFICE, (Flavor.LARGE,)),
    ),
    volumes=(Volume("archive-2024", 12_000), Volume("archive-2025", 9_000, 150)),
    owners=(Person("henrik@microscopy.example", "Henrik Sand"),),
    left_percent=35,
    fails=True,
)
IN_DEBT = Project(
    id="08d6e2f94b7c4a31b5e0c9731fa84d26",
    name="drug-docking",
    site="freiburg",
    domain="galaxy",
    organisation="Structural Biology",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("docking-head", Rhythm.ALWAYS, (Flavor.MEDIUM,)),
        Server("docking-screen", Rhythm.CAMPAIGN, (Flavor.GPU,)),
        Server("docking-night", Rhythm.NIGHTLY, (Flavor.XLARGE,)),
    ),
    volumes=(Volume("docking-ligands", 900, 3),),
    owners=(Person("ines@drug-docking.example", "Ines Faria"),),
    left_percent=-9,
)
MONTHLY = Project(
    id="f3b81c05d6e94720a1c86e5bd90f4e7a",
    name="data-school",
    site="bielefeld",
    domain="teaching",
    organisation="Data School",
    measure=Measure.COUNTERS,
    door=Door.LINES,
    servers=(
        Server("school-hub", Rhythm.ALWAYS, (Flavor.MEDIUM,)),
        *(Server(f"school-bench-{seat}", Rhythm.COURSE, (Flavor.MEDIUM,)) for seat in range(1, 9)),
    ),
    volumes=(Volume("school-homes", 300, 2),),
    owners=(Person("jonas@data-school.example", "Jonas Albrecht"),),
    members=(MEMBER,),
    left_percent=48,
    monthly_percent=5,
)
ELSEWHERE = Project(
    id="climate-downscaling",
    name="climate-downscaling",
    site="ec2",
    domain="",
    organisation="Regional Models",
    measure=Measure.INSTANCES,
    door=Door.LINES,
    servers=(
        Server("downscale-api", Rhythm.ALWAYS, (Flavor.T3_MEDIUM,)),
        Server("downscale-solver", Rhythm.ALWAYS, (Flavor.C6I_XLARGE,)),
        Server("downscale-burst", Rhythm.NIGHTLY, (Flavor.C6I_4XLARGE,)),
    ),
    volumes=(),
    owners=(Person("kaja@climate.example", "Kaja Lund"),),
    left_percent=57,
    expiring_percent=60,
)
UNPRICED = Project(
    id="flood-maps",
    name="flood-maps",
    site="ec2",
    domain="",
    organisation="Regional Models",
    measure=Measure.INSTANCES,
    door=Door.LINES,
    servers=(
        Server("flood-tiles", Rhythm.ALWAYS, (Flavor.C6I_XLARGE,)),
        Server("flood-memory", Rhythm.OFFICE, (Flavor.R7IZ_XLARGE,)),
        Server("flood-run", Rhythm.CAMPAIGN, (Flavor.C6I_4XLARGE,)),
    ),
    volumes=(),
    owners=(
        Person("lea@climate.example", "Lea Hofer"),
        Person("kaja@climate.example", "Kaja Lund"),
    ),
    left_percent=19,
)
QUIET = Project(
    id="91e4d0b7c6a248f3857fa20cbd6e3f14",
    name="text-mining",
    site="bielefeld",
    domain="elixir",
    organisation="Genomics",
    measure=Measure.INVENTORY,
    door=Door.REMOTE_WRITE,
    servers=(
        Server("mining-search", Rhythm.ALWAYS, (Flavor.MEDIUM,)),
        Server("mining-crawl", Rhythm.CAMPAIGN, (Flavor.LARGE,)),
    ),
    volumes=(Volume("mining-corpus", 600, 1),),
    owners=(OWNER,),
    left_percent=91,
)

PROJECTS = (
    COMFORTABLE,
    BELOW_HALF,
    NEARLY_USED,
    SOON_IN_DEBT,
    CORRECTED,
    WITH_A_GAP,
    IN_DEBT,
    MONTHLY,
    ELSEWHERE,
    UNPRICED,
    QUIET,
)
# Programs and the teams beneath them.
TREE = {
    "Life Sciences": ("Genomics", "Imaging", "Structural Biology"),
    "Earth and Climate": ("Regional Models",),
    "Teaching": ("Data School",),
}
# Organisations with a budget, and how many per cent of what the projects beneath are granted.
BUDGETS = {"Life Sciences": 150, "Imaging": 80, "Earth and Climate": 95}
MANAGED = "Life Sciences"
