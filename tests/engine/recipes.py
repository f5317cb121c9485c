"""Shipped recipes with another tolerance, for policies that are untrained."""

from __future__ import annotations

from collections.abc import Callable

from actd.engine.recipe import Recipe, Tolerance, load_recipe


def recipes_with(tolerance_std: float) -> Callable[[str], Recipe]:
    """In place of `load_recipe`: shipped recipes that allow this error, and no other."""

    def load(name: str) -> Recipe:
        allowed = Tolerance(max_std=tolerance_std, p99_std=tolerance_std)
        return load_recipe(name).model_copy(update={"tolerance": allowed})

    return load
