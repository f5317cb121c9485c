"""Recordings run again: the same decisions, other settings, other engines."""
