"""What was recorded: record, replay, report."""

from __future__ import annotations
