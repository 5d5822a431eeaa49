"""Measurements against references of the same run; see quick.py."""
