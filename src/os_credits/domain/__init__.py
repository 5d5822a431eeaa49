"""The nouns: frozen values with their own checks and arithmetic.

No input or output, no clock, no logging, nothing of ours imported but `errors`.
Start reading at `meter.py` (what is tracked), then `sample.py`, `price.py`, `entry.py`.
"""
