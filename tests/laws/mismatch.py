"""What a law raises that does not hold."""


class MismatchError(Exception):
    """The service says something else than the oracle, or something that cannot be."""
