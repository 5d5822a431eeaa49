"""What was used by the hour and what is left in, the day on which it runs out; pure functions.

Floats may stand here, since a forecast is no money: nothing of this room enters an account.
Start reading at `run_out.py`; `docs/forecast.md` tells the method and how well it did.
"""
