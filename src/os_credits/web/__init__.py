"""Human-facing HTML: pages, templates and static files; no JSON, no rules about credits.

Start reading at `pages.py` (which pages there are), then `history.py` (what is read for one)
and `history_view.py` (what is shown of it).
"""
