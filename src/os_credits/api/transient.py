"""The words of every answer to passing trouble, the same whatever the cause.

They hold nothing of the sender's: Telegraf drops a batch by certain words in an answer of 5xx.
"""

from __future__ import annotations

import json

# Whole and few seconds: a date, or a long time, would hold Prometheus up for as long.
RETRY_AFTER_SECONDS = 2
# The client libraries of InfluxDB 2 drop a batch after six tries, and wait exactly so long between
# them: two seconds each would not outlast the restart of a database.
RETRY_AFTER_SECONDS_OF = {"/api/v2/write": 15}
TEMPORARILY = "temporarily unavailable"


def retry_after_seconds(path: str) -> int:
    """Give how long whoever asked for this path is to wait before asking again."""
    return RETRY_AFTER_SECONDS_OF.get(path, RETRY_AFTER_SECONDS)


_BODY = json.dumps({"error": TEMPORARILY, "code": "unavailable", "message": TEMPORARILY}).encode()

# The answer to a connection that is one too many, before anything was asked.
TURNED_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Content-Type: application/json; charset=utf-8\r\n"
    b"Content-Length: %d\r\n"
    b"Retry-After: %d\r\n"
    b"Connection: close\r\n\r\n%s"
) % (len(_BODY), RETRY_AFTER_SECONDS, _BODY)
