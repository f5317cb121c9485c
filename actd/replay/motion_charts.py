"""How the commands of a run moved each joint, and how near its limits. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.control.limits import Limits

HEADER = (
    "joint",
    "commanded from",
    "to",
    "top speed",
    "of limit",
    "top acceleration",
    "of limit",
    "at a limit",
    "RMS command - measured",
)


class CommandedMotion:
    """Speeds and accelerations of the commands; `at_limit` (ticks, joints) where one is reached.

    Commands are one control period apart, as for the limiter.
    """

    def __init__(self, ticks: NDArray[Any], limits: Limits, period_ns: int) -> None:
        self._limits = limits
        self._action, self._positions = ticks["action"], ticks["positions"]
        period_s = period_ns / 1e9
        consecutive = (np.diff(ticks["seq"]) == 1)[:, None]
        none = np.full((1, self._action.shape[1]), np.nan)
        steps = np.where(consecutive, np.diff(self._action, axis=0), np.nan)
        self._speed = np.abs(np.concatenate([none, steps])) / period_s
        second_differences = np.diff(np.concatenate([none, steps]), axis=0) / period_s**2
        self._acceleration = np.abs(np.concatenate([none, second_differences]))
        reach = 0.999
        self.at_limit: NDArray[np.bool_] = (
            (self._action <= limits.lower)
            | (self._action >= limits.upper)
            | (self._speed >= reach * limits.velocity)
            | (self._acceleration >= reach * limits.acceleration)
        )

    def row(self, j: int, name: str) -> tuple[str, ...]:
        """The cells under HEADER for one joint."""
        action = self._action[:, j]
        if not np.isfinite(action).any():
            return (name, *["-"] * 8)
        error = action - self._positions[:, j]
        error = error[np.isfinite(error)]
        rms = float(np.sqrt(np.mean(error**2))) if len(error) else float("nan")
        speed, acceleration = _largest(self._speed[:, j]), _largest(self._acceleration[:, j])
        return (
            name,
            f"{np.nanmin(action):.4g}",
            f"{np.nanmax(action):.4g}",
            f"{speed:.3g}",
            f"{speed / self._limits.velocity[j]:.0%}",
            f"{acceleration:.3g}",
            f"{acceleration / self._limits.acceleration[j]:.0%}",
            f"{self.at_limit[:, j].mean():.2%}",
            f"{rms:.3g}",
        )


def _largest(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else 0.0
