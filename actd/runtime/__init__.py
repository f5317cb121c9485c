"""The processes of the daemon, and what they stand on."""
