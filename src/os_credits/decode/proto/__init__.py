"""The messages of remote write as generated code; see the head of `remote_write.proto`."""
