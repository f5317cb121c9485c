"""The table of checks, in the order in which they are answered."""

from __future__ import annotations

from actd.doctor.checks import cameras, computer, deployment, robot, timing
from actd.doctor.finding import Check

CHECKS: tuple[Check, ...] = (
    *deployment.CHECKS,
    *cameras.CHECKS,
    *timing.CHECKS,
    *computer.CHECKS,
    *robot.CHECKS,
)
