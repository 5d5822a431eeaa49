"""A small simulated cloud that feeds the service through its real doors, for a first look.

It knows the service by HTTP only: nothing here reads the database or calls a flow. What runs
when is a pure function of time, so that a restart goes on where the last run stopped.
Start reading at `cast.py` (who is there), then `rhythm.py`, `cloud.py`, `run.py`.
"""
