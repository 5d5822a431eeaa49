"""Decides who must hear (pure), writes the text, hands it to a mail server, webhook or portal.

SMTP, mail templates and posts to programs of others live only here; no database, and no clock.
Start reading at `thresholds.py`, then `message.py` and `outlet.py`.
"""
