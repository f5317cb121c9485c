"""What every command must keep, judged from rows, poses and commands alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.limits import Flag
from actd.control.settings import ControlSettings
from actd.control.tick import Output
from actd.mode import Mode

DRIVEN = (Mode.ARMED, Mode.MOVING, Mode.TAKEOVER)


class Judge:
    """It knows the limits, and nothing of how the controller decides.

    `took`: these rows may be followed from now on. `judge`: what one tick commanded, and the
    pose that it was told. Commands begin at rest where the arm was found: after nothing was
    commanded, after a silence, and where an arm at rest was moved away by hand.
    """

    def __init__(self, settings: ControlSettings) -> None:
        joints, bounds = len(settings.joints), settings.limits
        self._limits = bounds
        self._dt_s = settings.period_ns / 1e9
        self._speeds = np.array([kind == "velocity" for kind in settings.kinds])
        self._gripper = np.array([kind == "gripper" for kind in settings.kinds])
        self._turning = settings.turn > 0
        self._turn = np.where(self._turning, settings.turn, 1.0)
        self._follow = settings.follow_distance
        # A speed may be taken up at once, within its change per second.
        self._change = np.where(self._speeds, 2 * bounds.velocity, bounds.acceleration * self._dt_s)
        self._low: Vector = np.zeros(joints)
        self._high: Vector = np.zeros(joints)
        self._forget()
        self._last: Vector | None = None
        self._grip: Vector | None = None
        self._speed: Vector = np.zeros(joints)
        fastest = np.maximum(np.abs(bounds.lower), np.abs(bounds.upper)) / bounds.velocity
        longest_s = np.where(self._speeds, fastest, bounds.velocity / bounds.acceleration)
        self._ramp_ticks = int(np.ceil(float(longest_s.max()) / self._dt_s)) + 2
        self._ramping = 0
        self.anchors = 0
        """How often commands began anew."""

    @property
    def moving(self) -> bool:
        """Whether the last command moved the arm."""
        return bool(self._speed.any())

    def took(self, rows: NDArray[Any]) -> None:
        """Widen what was planned; values that are no chunk at all count for nothing."""
        bounds = self._limits
        inside = np.clip(rows.astype(np.float64), bounds.lower, bounds.upper)
        if not np.isfinite(inside).all():
            return
        # A speed always goes back to 0, and on a circle there is no between.
        inside = np.concatenate((inside, np.where(self._speeds, 0.0, inside[:1])))
        self._low = np.where(self._turning, -np.inf, np.minimum(self._low, inside.min(axis=0)))
        self._high = np.where(self._turning, np.inf, np.maximum(self._high, inside.max(axis=0)))

    def judge(
        self,
        output: Output,
        positions: Vector | None,
        *,
        silent: bool = False,
        replaced: bool = False,
    ) -> None:
        """Assert all that every command promises. `silent`: the last one had expired;
        `replaced`: the positions are another program's since, and perhaps another arm's.
        """
        assert bool(output.flags & Flag.SILENCE) == silent
        action = output.action
        if action is None:
            assert output.rest is None
            self._last, self._ramping = None, 0
            self._speed = np.zeros_like(self._speed)
            if output.mode is Mode.IDLE:
                self._forget()
            return
        assert output.mode is not Mode.IDLE
        assert np.isfinite(action).all()
        assert (np.abs(action)[self._turning] <= self._turn[self._turning] / 2 + 1e-9).all()
        if silent or self._begins_anew(output, positions, replaced):
            assert positions is not None
            kept = positions if self._grip is None else self._grip
            self._begin(np.where(self._gripper, kept, positions))
        self._judge_motion(action)
        self._judge_rest(output, action)
        self._ramping = 0 if output.mode in DRIVEN else self._ramping + 1
        if self._ramping > self._ramp_ticks:
            assert not self.moving, "the ramp is not over"
            assert not action[self._speeds].any(), "a speed that is not lost"

    def _forget(self) -> None:
        """After a reset nothing that was planned before may be followed."""
        self._low, self._high = np.full_like(self._low, np.inf), np.full_like(self._low, -np.inf)

    def _begins_anew(self, output: Output, positions: Vector | None, replaced: bool) -> bool:
        if self._last is None:
            return True
        if output.mode in DRIVEN or positions is None or output.action is None:
            return False
        if self.moving and not replaced:
            return False
        away = np.abs(self._near(positions, self._last) - self._last) > self._follow
        there = np.where(self._gripper, self._last, self._near(positions, self._last))
        there = np.where(self._speeds, 0.0, there)
        action = self._near(output.action, self._last)
        return bool(away.any() and np.allclose(action, there, rtol=0, atol=1e-9))

    def _begin(self, positions: Vector) -> None:
        self.anchors += 1
        self._last = np.where(self._speeds, 0.0, positions)
        self._speed = np.zeros_like(self._speed)
        self._low = np.minimum(self._low, self._last)
        self._high = np.maximum(self._high, self._last)

    def _near(self, values: Vector, reference: Vector) -> Vector:
        turns = np.where(self._turning, np.round((reference - values) / self._turn), 0.0)
        near: Vector = values + turns * self._turn
        return near

    def _judge_motion(self, action: Vector) -> None:
        assert self._last is not None
        bounds, dt_s, last = self._limits, self._dt_s, self._last
        action = self._near(action, last)
        eps = 1e-9 * (1.0 + np.abs(action))
        assert (action >= np.minimum(bounds.lower, last) - eps).all(), "below the position limits"
        assert (action <= np.maximum(bounds.upper, last) + eps).all(), "above the position limits"
        assert (action >= self._low - eps).all(), "below all that was planned"
        assert (action <= self._high + eps).all(), "above all that was planned"
        rounding = 1e-13 * (1.0 + np.abs(action)) / dt_s
        speed = (action - last) / dt_s
        top = bounds.velocity * (1 + 1e-6) + rounding
        assert (np.abs(speed) <= top).all(), "velocity limit"
        change = self._change * (1 + 1e-6) + 2 * rounding
        assert (np.abs(speed - self._speed) <= change).all(), "acceleration limit"
        self._speed = np.where(np.abs(speed) < rounding, 0.0, speed)
        self._last = self._grip = action

    def _judge_rest(self, output: Output, action: Vector) -> None:
        """Whoever brings the last command to rest as it says stays within the same bounds."""
        assert output.rest is not None
        eps = 1e-9 * (1.0 + np.abs(action))
        rest = self._near(output.rest, action)
        low, high = np.minimum(self._low, action), np.maximum(self._high, action)
        inside = (rest >= low - eps) & (rest <= high + eps)
        assert inside[~self._turning].all(), "a rest beyond all that was planned"
        assert not rest[self._speeds].any()
        assert output.rest_ns >= 0
        if not output.rest_ns:
            assert (np.abs(rest - action) <= eps).all()


def distance_from(path: Vector, places: Vector) -> float:
    """How far the worst of `places` (n, joints) is from the polyline `path` (m, joints)."""
    begin, along = path[:-1], np.diff(path, axis=0)
    squared = np.maximum((along**2).sum(axis=1), 1e-18)
    worst = 0.0
    for place in places:
        share = np.clip(((place - begin) * along).sum(axis=1) / squared, 0.0, 1.0)
        nearest = np.linalg.norm(begin + share[:, None] * along - place, axis=1).min()
        worst = max(worst, float(nearest))
    return worst
