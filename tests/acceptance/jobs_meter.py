"""A meter of amounts beside the ones that are shipped, for the meter file and for the oracle.

What is lost of amounts is lost money, and what came twice would be billed twice.
"""

from fractions import Fraction

from tests.acceptance.shipped import METERS, VCPU
from tests.laws import oracle

JOBS = "jobs"
OWN_METER = f"""
[[meter]]
name = "{JOBS}"
metric = "{JOBS}"
kind = "delta"
unit = "job"
project_id = "project_id"
site = "location_id"

[[price]]
meter = "{JOBS}"
credits_per_unit = "0.25"
"""
PRICED = {VCPU: METERS[VCPU], JOBS: oracle.Meter("delta", prices=[(None, 0, Fraction(1, 4))])}
