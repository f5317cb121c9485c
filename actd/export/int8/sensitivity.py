"""Finds the layers that must stay float for an 8-bit engine to be exact enough.

Everything in 8 bits is tried first. Where that is too far from torch, every layer's own error is
measured by quantising it alone; those that cost most error for the least time stay float, as
few as it takes. Knows neither models nor runtimes: it is given what measures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from actd.engine.manifest import FloatLayers
from actd.engine.recipe import Tolerance
from actd.engine.reference import tolerance_excess
from actd.engine.verify import Parity

Measure = Callable[[Collection[str]], Parity]
"""Quickly measured errors of an engine with these layers in 8 bits."""
Confirm = Callable[[Collection[str]], bool]
"""Whether the engine with these layers in 8 bits passes its verdict."""


def choose_float_layers(
    costs: Mapping[str, int], measure: Measure, confirm: Confirm, tolerance: Tolerance
) -> tuple[FloatLayers, ...] | None:
    """The layers to keep float, worst first; None if nothing passes with any layer in 8 bits.

    `costs` say of every layer that can be 8-bit how much slower it is in float. The last engine
    that was confirmed is the one without the layers returned.
    """
    if not tolerance_excess(measure(costs), tolerance) and confirm(costs):
        return ()
    alone = {layer: measure([layer]).p99_std for layer in costs}
    # errors of layers add up like independent noise, hence squares
    order = sorted(costs, key=lambda layer: alone[layer] ** 2 / max(1, costs[layer]), reverse=True)
    count = _passing(order, _fewest(order, measure, tolerance), confirm)
    if count is None:
        return None
    kept = _pruned(order, order[:count], costs, confirm)
    return tuple(FloatLayers(layer=layer, error_std=alone[layer]) for layer in kept)


def _fewest(order: list[str], measure: Measure, tolerance: Tolerance) -> int:
    """How many of the first layers must be float, by bisection; at least one stays 8-bit."""
    low, high = 1, len(order) - 1
    while low < high:
        middle = (low + high) // 2
        if tolerance_excess(measure(order[middle:]), tolerance):
            low = middle + 1
        else:
            high = middle
    return min(low, len(order) - 1)


def _passing(order: list[str], guess: int, confirm: Confirm) -> int | None:
    """The fewest of the first layers that must be float to pass; None for all.

    What a few frames told may be wrong either way: strides up that double, then a bisection.
    """
    failed, kept, stride = 0, guess, 1
    while not confirm(order[kept:]):
        if kept + 1 >= len(order):
            return None
        failed, kept, stride = kept, min(kept + stride, len(order) - 1), 2 * stride
    tried = kept
    while kept - failed > 1:
        tried = (failed + kept) // 2
        if confirm(order[tried:]):
            kept = tried
        else:
            failed = tried
    if tried != kept:
        confirm(order[kept:])
    return kept


def _pruned(
    order: list[str], kept: list[str], costs: Mapping[str, int], confirm: Confirm
) -> list[str]:
    """Those of `kept` that are needed: each is tried in 8 bits again, the dearest first.

    A layer's error alone is measured on a few frames, and may have put it before its turn.
    """
    confirmed = True
    for layer in sorted(kept, key=lambda layer: costs[layer], reverse=True):
        fewer = [name for name in kept if name != layer]
        confirmed = confirm([name for name in order if name not in fewer])
        kept = fewer if confirmed else kept
    if not confirmed:
        confirm([name for name in order if name not in kept])
    return kept
