"""Replay recordings: the same decisions, other settings, checks of limits, a page."""
