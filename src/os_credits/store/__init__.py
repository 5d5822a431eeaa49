"""The only room with SQL and asyncpg: one file per table, one function per statement.

Every function takes the connection first. Driver errors leave this room as
`errors.Unavailable` (see `pool.py`); start reading at `pool.py`, then `samples.py`.
"""
