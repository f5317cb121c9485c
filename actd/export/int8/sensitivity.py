"""Find the layers that must stay float for an 8-bit engine to be exact enough.

All layers in 8 bits are tried first, and are usually exact enough. If not, each layer's own error
is measured by quantizing it alone; those that cause most error for the least time stay float, as
few as necessary. Independent of models and runtimes: the caller passes the functions that measure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from actd.engine.manifest import FloatLayer

Measure = Callable[[str], float]
"""Quickly measured error of an engine with this layer alone in 8 bits."""
Confirm = Callable[[Collection[str]], bool]
"""Whether the engine with these layers in 8 bits passes validation."""


def choose_float_layers(
    costs: Mapping[str, int], measure: Measure, confirm: Confirm
) -> tuple[FloatLayer, ...] | None:
    """The layers to keep float, worst first; None if nothing passes with any layer in 8 bits.

    `costs`: by how much each layer that can be 8-bit is slower in float. The last engine confirmed
    is the one without the returned layers in 8 bits.
    """
    if confirm(costs):
        return ()
    own_error = {layer: measure(layer) for layer in costs}
    # errors of layers add up like independent noise, hence squares
    order = sorted(
        costs, key=lambda layer: own_error[layer] ** 2 / max(1, costs[layer]), reverse=True
    )
    # bisect: the first `failed` layers in float are too few, the first `count` are enough
    failed, count = 0, len(order)
    tested = None
    while count - failed > 1:
        tested = (failed + count) // 2
        if confirm(order[tested:]):
            count = tested
        else:
            failed = tested
    if count == len(order):
        return None
    if tested != count:
        confirm(order[count:])
    return tuple(FloatLayer(layer=layer, error_std=own_error[layer]) for layer in order[:count])
