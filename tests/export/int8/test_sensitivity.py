"""The choice of layers that stay float, on errors that are known beforehand."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from hypothesis import given
from hypothesis import strategies as st

from actd.engine.manifest import FloatLayer
from actd.export.int8.sensitivity import choose_float_layers

ALLOWED = 0.1


class Network:
    """Layers whose errors add up as independent noise does, and a record of what was tried."""

    def __init__(self, errors: Mapping[str, float]) -> None:
        self.errors = errors
        self.measured = 0
        self.confirmed: list[set[str]] = []

    def error(self, layers: Collection[str]) -> float:
        return math.sqrt(sum(self.errors[layer] ** 2 for layer in layers))

    def measure(self, layer: str) -> float:
        self.measured += 1
        return self.errors[layer]

    def confirm(self, layers: Collection[str]) -> bool:
        self.confirmed.append(set(layers))
        return self.error(layers) <= ALLOWED

    def choose(self, costs: Mapping[str, int] | None = None) -> tuple[FloatLayer, ...] | None:
        return choose_float_layers(
            costs or dict.fromkeys(self.errors, 1), self.measure, self.confirm
        )


def test_nothing_is_measured_where_everything_passes() -> None:
    network = Network({"a": 0.05, "b": 0.05})
    assert network.choose() == ()
    assert (network.measured, len(network.confirmed)) == (0, 1)


def test_the_worst_layers_stay_float_and_say_what_they_cost() -> None:
    network = Network({"mild": 0.02, "bad": 0.3, "worse": 0.5, "fair": 0.08})
    assert network.choose() == (
        FloatLayer(layer="worse", error_std=0.5),
        FloatLayer(layer="bad", error_std=0.3),
    )
    assert network.confirmed[-1] == {"mild", "fair"}


def test_of_two_equal_errors_the_cheaper_layer_stays_float() -> None:
    chosen = Network({"large": 0.09, "small": 0.09}).choose({"large": 1000, "small": 10})
    assert chosen is not None
    assert [layer.layer for layer in chosen] == ["small"]


def test_none_where_every_single_layer_is_too_far() -> None:
    network = Network(dict.fromkeys("abcde", 0.2))
    assert network.choose() is None
    assert all(network.confirmed)


@given(
    errors=st.dictionaries(st.text("abcdef", min_size=1), st.floats(1e-4, 0.3), min_size=1),
    data=st.data(),
)
def test_whatever_is_chosen_passes_and_is_affordable(
    errors: dict[str, float], data: st.DataObject
) -> None:
    costs = {layer: data.draw(st.integers(0, 10**9)) for layer in errors}
    network = Network(errors)
    chosen = network.choose(costs)
    assert network.measured in (0, len(errors))
    assert len(network.confirmed) <= 2 + math.ceil(math.log2(len(errors) + 1))
    if chosen is None:
        best = min(errors, key=lambda layer: errors[layer] ** 2 / max(1, costs[layer]))
        assert len(errors) == 1 or not network.confirm({best})
        return
    eight_bit = set(errors) - {layer.layer for layer in chosen}
    assert eight_bit
    assert network.confirmed[-1] == eight_bit
    assert network.confirm(eight_bit)
    if chosen:
        assert not network.confirm(eight_bit | {chosen[-1].layer}), "not needed"
