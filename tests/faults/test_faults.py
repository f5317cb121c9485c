"""Every fault of the table, injected into a real daemon: tier `faults`.

`--write-reliability` writes what was observed to docs/reliability.md.
"""

from __future__ import annotations

import pytest

from actd.errors import LinkError
from tests.faults import inject, page
from tests.faults.conftest import Pool
from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.outcome import Seen


def _inject(fault: Fault, pool: Pool) -> page.Verdict:
    reason = fault.needs()
    if reason:
        pytest.skip(reason)
    try:
        verdict = inject.run(fault, pool.take(fault.setup, fault.mode))
    except (AssertionError, LinkError) as error:
        verdict = page.Verdict(Seen(), "", str(error))
    if fault.spends or verdict.broken or fault.outcome.ended is not None:
        left = pool.drop()
        if fault.spends and left:
            return verdict._replace(broken="; ".join(filter(None, [verdict.broken, *left])))
    return verdict


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.key)
def test_the_promises_hold(fault: Fault, pool: Pool, verdicts: dict[str, page.Verdict]) -> None:
    verdict = _inject(fault, pool)
    verdicts[fault.key] = verdict
    assert not verdict.broken, f"{verdict.broken}\nobserved: {verdict.observed}"


# The ones that any change may break first, in the quick tier too.
_QUICK = (
    "collision [ARMED]",
    "SIGSTOP tick for 0.5 s [ARMED]",
    "camera stops [ARMED]",
    "SIGHUP to all [ARMED]",
)


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.key in _QUICK], ids=lambda fault: fault.key
)
def test_the_promises_hold_for_the_likeliest(fault: Fault, pool: Pool) -> None:
    verdict = _inject(fault, pool)
    assert not verdict.broken, f"{verdict.broken}\nobserved: {verdict.observed}"


def test_the_quick_ones_exist() -> None:
    assert {fault.key for fault in FAULTS} >= set(_QUICK)


def test_the_page_lists_every_fault_and_no_other() -> None:
    assert page.listed() == [fault.key for fault in FAULTS], (
        "docs/reliability.md is not of these faults: "
        "write it with python -m pytest -m faults --write-reliability"
    )


def test_every_fault_has_a_name_of_its_own() -> None:
    keys = [fault.key for fault in FAULTS]
    assert len(keys) == len(set(keys))
