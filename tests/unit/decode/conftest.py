"""What the tests of decoders share."""

from tests.scanners import scan

__all__ = ["scan"]
