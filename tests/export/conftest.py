"""Fixtures that evaluation has too."""

from __future__ import annotations

from tests.evaluation.conftest import dataset

__all__ = ["dataset"]
