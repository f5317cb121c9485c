"""One page operates at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actd.dashboard.lease import Lease

SECOND = 1_000_000_000


def test_a_lease_is_taken_kept_by_asking_and_lost_by_silence() -> None:
    lease = Lease()
    assert lease.holder("a", 0) == "nobody"
    lease.take("a", 0)
    for now in range(0, 60 * SECOND, 4 * SECOND):
        assert lease.holder("a", now) == "you"
        assert lease.holder("b", now + SECOND) == "another"
    assert lease.holder("b", 70 * SECOND) == "nobody"
    assert lease.holder("a", 70 * SECOND) == "nobody"


def test_another_page_may_take_it_and_the_first_one_sees_that() -> None:
    lease = Lease()
    lease.take("a", 0)
    lease.take("b", SECOND)
    assert lease.holder("a", 2 * SECOND) == "another"
    assert lease.holder("b", 2 * SECOND) == "you"


def test_a_page_without_a_name_never_operates() -> None:
    lease = Lease()
    lease.take("", 0)
    assert lease.holder("", 0) == "nobody"


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 10 * SECOND)), max_size=40
    )
)
def test_never_do_two_pages_operate(steps: list[tuple[str, bool, int]]) -> None:
    lease, now = Lease(), 0
    for page, takes, passed in steps:
        now += passed
        if takes:
            lease.take(page, now)
        assert sum(lease.holder(each, now) == "you" for each in "abc") <= 1
