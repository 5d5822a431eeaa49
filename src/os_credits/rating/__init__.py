"""Samples and a price list in, usage and charges out; pure functions with all rounding.

Start reading at `usage.py` (samples become hourly quantities, rules 2 to 4 of
`docs/rating-rules.md`), then `charge.py` (quantities become credits, rules 5 and 6).
"""
