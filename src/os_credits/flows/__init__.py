"""One file for each thing the service does with the database open.

A flow reads, calls a pure step and writes, in one transaction; it holds no rules of its own.
Start reading at `ingest.py`, then `rate.py`, `book.py`, `notice.py`, `deliver.py`; `clock.py`
repeats them.
"""
