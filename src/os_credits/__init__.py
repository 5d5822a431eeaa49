"""os_credits: measured usage of a cloud becomes exact, explainable credits."""

__version__ = "0.1.0"
