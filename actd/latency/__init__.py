"""Measuring the arm behind the wire: how long it takes from a command to its movement."""
