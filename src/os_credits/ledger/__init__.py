"""Charges, grants and corrections in, entries out; entries in, balance out; pure functions.

Start reading at `posting.py` (what is booked) and `chain.py` (how entries hold together).
"""
