"""How well the run-out forecast would have told what then happened; see __main__.py."""
