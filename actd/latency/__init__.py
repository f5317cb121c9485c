"""Measure the latency of the arm: the time from a command to its motion."""
