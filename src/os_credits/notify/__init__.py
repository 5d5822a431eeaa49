"""Decides who must hear (pure), writes the text, sends the mail.

SMTP and mail templates live only here; no database, and no clock. Start reading at
`thresholds.py`, then `message.py` and `mailer.py`.
"""
