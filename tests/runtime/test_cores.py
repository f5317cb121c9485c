"""Who runs where, on computers of every size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.ranges import parse_ranges
from actd.runtime.cores import CoreChoice, share

ALL = {n: tuple(range(n)) for n in (1, 2, 3, 4, 8, 16)}


@pytest.mark.parametrize(
    ("cores", "fifo", "tick", "others", "threads"),
    [
        (1, True, (0,), (0,), 1),
        (1, False, (0,), (0,), 1),
        (2, True, (1,), (0, 1), 2),
        (2, False, (1,), (0,), 1),
        (3, True, (2,), (0, 1, 2), 3),
        (3, False, (2,), (0, 1), 2),
        (4, True, (3,), (0, 1, 2), 3),
        (4, False, (3,), (0, 1, 2), 3),
        (8, True, (7,), ALL[8][:-1], 7),
        (8, False, (7,), ALL[8][:-1], 7),
        (16, True, (15,), ALL[16][:-1], 15),
        (16, False, (15,), ALL[16][:-1], 15),
    ],
)
def test_the_automatic_table(
    cores: int, fifo: bool, tick: tuple[int, ...], others: tuple[int, ...], threads: int
) -> None:
    given_ = share(ALL[cores], CoreChoice(), fifo=fifo)
    assert given_.tick == tick
    assert given_.inference == given_.cameras == given_.recorder == given_.supervisor == others
    assert given_.threads == threads


@pytest.mark.parametrize(
    ("cores", "asked", "fifo", "tick", "inference", "threads"),
    [
        # As many threads as there are cores, and no way to push them aside: nobody is bound.
        (2, CoreChoice(threads=2), False, (0, 1), (0, 1), 2),
        (2, CoreChoice(threads=1), False, (1,), (0,), 1),
        (2, CoreChoice(threads=1), True, (1,), (0,), 1),
        (2, CoreChoice(threads=2), True, (1,), (0, 1), 2),
        # From four cores up the tick's core stays its own, whatever inference would like.
        (4, CoreChoice(threads=4), False, (3,), (0, 1, 2), 4),
        (4, CoreChoice(tick=(0,)), True, (0,), (1, 2, 3), 3),
        (4, CoreChoice(inference=(2, 3)), True, (1,), (2, 3), 2),
        (4, CoreChoice(inference=(0, 1, 2, 3)), True, (3,), (0, 1, 2, 3), 4),
        # A core that the kernel keeps out of the scheduler's hands (isolcpus).
        (4, CoreChoice(tick=(7,)), True, (7,), (0, 1, 2, 3), 4),
    ],
)
def test_what_is_asked_for_is_given(  # noqa: PLR0917
    cores: int,
    asked: CoreChoice,
    fifo: bool,
    tick: tuple[int, ...],
    inference: tuple[int, ...],
    threads: int,
) -> None:
    given_ = share(ALL[cores], asked, fifo=fifo)
    assert (given_.tick, given_.inference, given_.threads) == (tick, inference, threads)


@given(
    st.frozensets(st.integers(0, 63), min_size=2, max_size=32),
    st.one_of(st.none(), st.integers(1, 32)),
    st.booleans(),
)
def test_nobody_is_left_without_a_core_and_the_tick_is_alone_where_it_must_be(
    available: frozenset[int], threads: int | None, fifo: bool
) -> None:
    given_ = share(available, CoreChoice(threads=threads), fifo=fifo)
    for cores in (given_.tick, given_.inference, given_.cameras, given_.supervisor):
        assert cores
        assert set(cores) <= available
    if len(available) >= 4 or (not fifo and threads is None) or threads == 1:
        assert given_.tick == (max(available),)
        assert set(given_.inference) == available - set(given_.tick)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-3,6\n", {0, 1, 2, 3, 6}), ("0", {0}), ("\n", set()), ("2,4-5", {2, 4, 5})],
)
def test_the_kernel_s_lists_are_read(text: str, numbers: set[int]) -> None:
    assert parse_ranges(text) == numbers


@pytest.mark.parametrize("text", ["3-1", "0,20-10", "a", "1-", "-1"])
def test_a_list_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_ranges(text)
