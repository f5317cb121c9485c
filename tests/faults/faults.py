"""Every fault that is injected, and what must follow: the table behind docs/reliability.md."""

from __future__ import annotations

from tests.faults.arm_faults import arm_faults
from tests.faults.daemon_faults import daemon_faults
from tests.faults.fault import Fault
from tests.faults.move_faults import move_faults
from tests.faults.takeover_faults import takeover_faults

FAULTS: tuple[Fault, ...] = (
    *arm_faults(),
    *move_faults(),
    *takeover_faults(),
    *daemon_faults(),
)
