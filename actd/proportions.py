"""How sure a share of successes is, and whether two of them differ. Pure."""

from __future__ import annotations

import math

Z_95 = 1.96


def wilson(successes: int, attempts: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of successes; `attempts` is at least 1."""
    share, z2 = successes / attempts, Z_95**2
    middle = share + z2 / (2 * attempts)
    half = Z_95 * math.sqrt(share * (1 - share) / attempts + z2 / (4 * attempts**2))
    low, high = ((middle + side * half) / (1 + z2 / attempts) for side in (-1, 1))
    return max(0.0, low), min(1.0, high)  # beyond them only by rounding


def newcombe(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of a difference of two unpaired shares, first minus second.

    Each is (successes, attempts). Newcombe 1998, method 10: from both Wilson intervals.
    """
    (a, m), (b, n) = first, second
    (a_low, a_high), (b_low, b_high) = wilson(a, m), wilson(b, n)
    below = math.hypot(a / m - a_low, b_high - b / n)
    above = math.hypot(a_high - a / m, b / n - b_low)
    return a / m - b / n - below, a / m - b / n + above


def bonett_price(only_first: int, only_second: int, pairs: int) -> tuple[float, float]:
    """The 95 % interval of a difference of two paired shares, first minus second.

    Of `pairs`, so many in which the first or the second alone succeeded. Bonett and Price 2012:
    Wald's, with one pair more of either kind.
    """
    first, second = ((only + 1) / (pairs + 2) for only in (only_first, only_second))
    middle = first - second
    half = Z_95 * math.sqrt((first + second - middle**2) / (pairs + 2))
    return max(-1.0, middle - half), min(1.0, middle + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test.

    Of the pairs in which one of two succeeded, how many were the first's and how many the second's.
    1 where there is no such pair: nothing speaks for a difference.
    """
    pairs, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(pairs, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << pairs))
