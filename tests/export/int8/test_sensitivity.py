"""The choice of layers that stay float, on errors that are known beforehand."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actd.engine.recipe import Tolerance
from actd.engine.verify import Parity, compare
from actd.export.int8.sensitivity import choose_float_layers

TOLERANCE = Tolerance(max_std=0.1, p99_std=0.1)


class Network:
    """Layers whose errors add up as independent noise does, and a count of what was asked."""

    def __init__(self, errors: Mapping[str, float], verdict_factor: float = 1.0) -> None:
        self.errors = errors
        self.verdict_factor = verdict_factor
        self.measured = 0
        self.confirmed: list[set[str]] = []

    def error(self, layers: Collection[str]) -> float:
        return math.sqrt(sum(self.errors[layer] ** 2 for layer in layers))

    def measure(self, layers: Collection[str]) -> Parity:
        self.measured += 1
        shape = (1, 1, 1)
        found = np.full(shape, self.error(layers), np.float32)
        return compare(found, np.zeros(shape, np.float32), None)

    def confirm(self, layers: Collection[str]) -> bool:
        self.confirmed.append(set(layers))
        return self.error(layers) * self.verdict_factor <= TOLERANCE.max_std


def test_nothing_stays_float_where_everything_passes() -> None:
    network = Network({"a": 0.05, "b": 0.05})
    assert (
        choose_float_layers(dict.fromkeys("ab", 1), network.measure, network.confirm, TOLERANCE)
        == ()
    )
    assert network.measured == 1


def test_the_worst_layers_stay_float_and_say_what_they_cost() -> None:
    errors = {"mild": 0.02, "bad": 0.3, "worse": 0.5, "fair": 0.08}
    network = Network(errors)
    kept = choose_float_layers(
        dict.fromkeys(errors, 1), network.measure, network.confirm, TOLERANCE
    )
    assert kept is not None
    assert [layer.layer for layer in kept] == ["worse", "bad"]
    assert [round(layer.error_std or 0, 4) for layer in kept] == [0.5, 0.3]
    assert network.confirmed[-1] == {"mild", "fair"}


def test_of_two_equal_errors_the_cheaper_layer_stays_float() -> None:
    errors = {"large": 0.09, "small": 0.09}
    network = Network(errors)
    kept = choose_float_layers(
        {"large": 1000, "small": 10}, network.measure, network.confirm, TOLERANCE
    )
    assert kept is not None
    assert [layer.layer for layer in kept] == ["small"]


def test_a_verdict_stricter_than_the_search_keeps_more_float() -> None:
    errors = {f"layer{i}": 0.05 for i in range(8)}
    kind = choose_float_layers(
        dict.fromkeys(errors, 1), Network(errors).measure, Network(errors).confirm, TOLERANCE
    )
    strict = Network(errors, verdict_factor=1.5)
    kept = choose_float_layers(dict.fromkeys(errors, 1), strict.measure, strict.confirm, TOLERANCE)
    assert kind is not None
    assert kept is not None
    assert len(kept) > len(kind)
    eight_bit = strict.confirmed[-1]
    assert 1.5 * strict.error(eight_bit) <= TOLERANCE.max_std
    assert 1.5 * strict.error([*eight_bit, kept[-1].layer]) > TOLERANCE.max_std


def test_a_layer_that_only_seemed_bad_is_in_8_bits_again() -> None:
    seemed = Network({"unlucky": 0.5, "bad": 0.3, "mild": 0.02})
    real = Network({"unlucky": 0.01, "bad": 0.3, "mild": 0.02})
    kept = choose_float_layers(
        dict.fromkeys(real.errors, 1), seemed.measure, real.confirm, TOLERANCE
    )
    assert kept is not None
    assert [layer.layer for layer in kept] == ["bad"]
    assert real.confirmed[-1] == {"unlucky", "mild"}


def test_none_where_every_single_layer_is_too_far() -> None:
    errors = dict.fromkeys("abcde", 0.2)
    network = Network(errors)
    macs = dict.fromkeys(errors, 1)
    assert choose_float_layers(macs, network.measure, network.confirm, TOLERANCE) is None
    assert network.confirmed
    assert all(network.confirmed)


@given(
    errors=st.dictionaries(st.text("abcdef", min_size=1), st.floats(1e-4, 0.3), min_size=1),
    factor=st.floats(0.5, 3),
    data=st.data(),
)
def test_whatever_is_chosen_passes_and_is_affordable(
    errors: dict[str, float], factor: float, data: st.DataObject
) -> None:
    macs = {layer: data.draw(st.integers(0, 10**9)) for layer in errors}
    network = Network(errors, factor)
    kept = choose_float_layers(macs, network.measure, network.confirm, TOLERANCE)
    if kept is None:
        assert not network.confirm(
            {min(errors, key=lambda layer: errors[layer] ** 2 / max(1, macs[layer]))}
        )
        return
    eight_bit = set(errors) - {layer.layer for layer in kept}
    assert eight_bit
    assert network.confirm(eight_bit)
    assert network.confirmed[-2] == eight_bit
    for layer in kept:
        assert not network.confirm(eight_bit | {layer.layer}), "not needed"
    # every layer alone, and a bisection
    assert network.measured <= len(errors) + math.ceil(math.log2(len(errors) + 1)) + 1
