"""Intervals and p-values against published ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.proportions import bonett_price, mcnemar, newcombe, wilson


def test_the_interval_is_wilsons() -> None:
    low, high = wilson(186, 200)
    assert (round(low, 3), round(high, 3)) == (0.886, 0.958)
    # Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20.
    for successes, attempts, interval in (
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
    ):
        assert wilson(successes, attempts) == pytest.approx(interval, abs=1e-4)
    assert wilson(20, 20)[1] == pytest.approx(1.0)


def test_the_interval_of_a_difference_is_newcombes() -> None:
    # Newcombe 1998 (II), table II, method 10.
    for first, second, interval in (
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
    ):
        assert newcombe(first, second) == pytest.approx(interval, abs=1e-4)
        low, high = newcombe(second, first)
        assert (-high, -low) == pytest.approx(interval, abs=1e-4)


def test_the_interval_of_a_paired_difference_is_bonett_and_prices() -> None:
    # Fagerland, Lydersen and Laake 2014, table V: airway hyper-responsiveness of 21 children.
    assert bonett_price(1, 7, 21) == pytest.approx((-0.508, -0.013), abs=5e-4)
    assert bonett_price(0, 1, 1)[0] == -1.0


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_a_paired_interval_holds_its_difference(first: int, second: int, alike: int) -> None:
    low, high = bonett_price(first, second, first + second + alike + 1)
    assert -1.0 <= low <= (first - second) / (first + second + alike + 1) <= high <= 1.0
    other_low, other_high = bonett_price(second, first, first + second + alike + 1)
    assert (-other_high, -other_low) == pytest.approx((low, high))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share(counts: tuple[int, int]) -> None:
    successes, attempts = counts
    low, high = wilson(successes, attempts)
    assert 0.0 <= low <= successes / attempts + 1e-12
    assert successes / attempts - 1e-12 <= high <= 1.0


def test_p_is_the_binomial_tests() -> None:
    # R: binom.test(1, 10)$p.value, binom.test(6, 22)$p.value, binom.test(0, 5)$p.value
    assert mcnemar(1, 9) == pytest.approx(0.021484375)
    assert mcnemar(6, 16) == pytest.approx(0.052478790, abs=1e-9)
    assert mcnemar(5, 0) == pytest.approx(0.0625)
    assert mcnemar(0, 0) == 1.0


@given(st.integers(0, 60), st.integers(0, 60))
def test_p_counts_every_outcome_that_is_as_unlikely(first: int, second: int) -> None:
    pairs = first + second
    distance = abs(first - pairs / 2)
    outcomes = [k for k in range(pairs + 1) if abs(k - pairs / 2) >= distance]
    exact = sum(math.comb(pairs, k) for k in outcomes) / 2**pairs
    assert mcnemar(first, second) == pytest.approx(exact)
    assert mcnemar(first, second) == mcnemar(second, first)
