"""The demo robot: a simulated ALOHA that talks to the daemon only as a real robot would."""
