"""The meters and prices that the service ships, written a second time for the oracle."""

from fractions import Fraction

from tests.laws import oracle

HOUR_MS = 3_600_000
VCPU, MEMORY = "project_vcpu_usage", "project_mb_usage"
SERVERS = "openstack_nova_server_status"
VOLUME, DISK = "openstack_cinder_volume_gb", "openstack_server_disk_gb"

METERS = {
    VCPU: oracle.Meter("counter", prices=[(None, 0, Fraction(1))]),
    MEMORY: oracle.Meter("counter", prices=[(None, 0, Fraction("0.3"))]),
    SERVERS: oracle.Meter(
        "gauge",
        value="one",
        match="ACTIVE",
        prices=[
            ("m1.small", 0, Fraction("1.6")),
            ("m1.medium", 0, Fraction("3.2")),
            ("m1.large", 0, Fraction("6.4")),
            ("m1.xlarge", 0, Fraction("12.8")),
            ("g1.large", 0, Fraction(60)),
        ],
    ),
    VOLUME: oracle.Meter("gauge", prices=[(None, 0, Fraction("0.001"))]),
    DISK: oracle.Meter("gauge", max_gap=2 * HOUR_MS, prices=[(None, 0, Fraction("0.0005"))]),
}
