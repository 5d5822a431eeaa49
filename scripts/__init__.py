"""What `make` runs: install what is missing, start a private TimescaleDB, run service and tests.

`install` and what it imports need nothing but Python's standard library, since they make the
virtual environment; the rest runs inside it. Start reading at `install.py` and `run.py`.
"""
