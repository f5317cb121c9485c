"""The wire: messages of schema v1 and the sockets that carry them."""
