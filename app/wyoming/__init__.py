"""The edge for Wyoming clients: sockets and events instead of HTTP, on the same services."""
