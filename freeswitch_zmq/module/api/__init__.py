"""The API channel: requests from outside, answered in JSON-RPC 2.0 (docs/protocol.md)."""
