"""Machine-facing HTTP: parse the request, call one flow or one read, shape the answer.

No SQL and no settings here; what a handler needs stands in `context.py`. Every module declares
its routes with the gate that guards each (`routes.py`), and `app.py` joins them.
Start reading at `routes.py`, `auth.py` and `middleware.py`, then `push.py`.
"""
