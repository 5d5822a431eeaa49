"""Bytes in, samples and refused pieces out: pure functions, one file per wire format.

No input or output, no clock, no logging, nothing of ours imported but `domain` and `errors`.
protobuf, snappy and gzip live here and nowhere else. A body that cannot be read at all raises
`InvalidInput`; a piece of it that cannot be used becomes a `Rejected` and harms only itself.

Start reading at `remote_write.py` (Prometheus; `scan.py` is its fast way), `line_protocol.py`
(Telegraf, InfluxDB) or `telegraf_json.py` (Telegraf by plain HTTP).
Every decoder hands out label sets as bytes (`Push.keys`); each form of key starts with a byte of
its own (0x0A remote write 1.0, 0x00 remote write 2.0, `#` line protocol, `{` JSON), so that the
keys of all doors can share one dictionary.
"""
