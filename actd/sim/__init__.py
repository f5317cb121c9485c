"""The demo robot: a simulated ALOHA that talks to the daemon only over the wire."""
