"""Find the layers that must stay float for an 8-bit engine to be exact enough.

All layers in 8 bits are tried first. If that is too far from torch, each layer's own error is
measured by quantizing it alone; those that cause most error for the least time stay float, as few
as necessary. Independent of models and runtimes: the caller passes the functions that measure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from actd.engine.manifest import FloatLayer
from actd.engine.recipe import Tolerance
from actd.engine.reference import tolerance_excess
from actd.engine.verify import Parity

Measure = Callable[[Collection[str]], Parity]
"""Quickly measured errors of an engine with these layers in 8 bits."""
Confirm = Callable[[Collection[str]], bool]
"""Whether the engine with these layers in 8 bits passes validation."""


def choose_float_layers(
    costs: Mapping[str, int], measure: Measure, confirm: Confirm, tolerance: Tolerance
) -> tuple[FloatLayer, ...] | None:
    """The layers to keep float, worst first; None if nothing passes with any layer in 8 bits.

    `costs`: by how much each layer that can be 8-bit is slower in float. The last engine confirmed
    is the one without the returned layers in 8 bits.
    """
    if not tolerance_excess(measure(costs), tolerance) and confirm(costs):
        return ()
    own_error = {layer: measure([layer]).p99_std for layer in costs}
    # errors of layers add up like independent noise, hence squares
    order = sorted(
        costs, key=lambda layer: own_error[layer] ** 2 / max(1, costs[layer]), reverse=True
    )
    count = _passing(order, _fewest(order, measure, tolerance), confirm)
    if count is None:
        return None
    float_layers = _pruned(order, order[:count], costs, confirm)
    return tuple(FloatLayer(layer=layer, error_std=own_error[layer]) for layer in float_layers)


def _fewest(order: list[str], measure: Measure, tolerance: Tolerance) -> int:
    """The number of first layers that must be float, by bisection; at least one stays 8-bit."""
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

    The guess from a few frames may be wrong either way: double the stride up, then bisect.
    """
    failed, count, stride = 0, guess, 1
    while not confirm(order[count:]):
        if count + 1 >= len(order):
            return None
        failed, count, stride = count, min(count + stride, len(order) - 1), 2 * stride
    tested = count
    while count - failed > 1:
        tested = (failed + count) // 2
        if confirm(order[tested:]):
            count = tested
        else:
            failed = tested
    if tested != count:
        confirm(order[count:])
    return count


def _pruned(
    order: list[str], float_layers: list[str], costs: Mapping[str, int], confirm: Confirm
) -> list[str]:
    """The necessary ones of `float_layers`: each is tried in 8 bits again, the costliest first.

    A layer's own error is measured on a few frames only, and may have ranked it too high.
    """
    confirmed = True
    for layer in sorted(float_layers, key=lambda layer: costs[layer], reverse=True):
        fewer = [name for name in float_layers if name != layer]
        confirmed = confirm([name for name in order if name not in fewer])
        float_layers = fewer if confirmed else float_layers
    if not confirmed:
        confirm([name for name in order if name not in float_layers])
    return float_layers
