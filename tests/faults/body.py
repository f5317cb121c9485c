"""The mechanics of an arm: joints behind servos, in a world that pushes back.

Pure: time is given. A servo follows its target with a dead time and a lag, at a speed and an
acceleration of its own, which are far above what the daemon may ask for: a target that jumps
makes the arm jump. Walls stop a joint, a hand carries it, and without torque it falls or stays.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from actd.arrays import Vector

END = 1.1
"""Where a joint's own range ends, on both sides, rad."""

_STEP_S = 0.0025
_HAND_SPEED = 2.0  # rad/s
_FALL = 2.0  # rad/s^2: gears brake what falls
_REACHED = 1e-9


@dataclass(frozen=True, slots=True)
class Servo:
    """How every joint follows: `gain` 1/s, top speed rad/s and acceleration rad/s^2 of its own."""

    gain: float = 25.0
    velocity: float = 6.0
    acceleration: float = 200.0
    dead_s: float = 0.01


class Body:
    """Joints at `position`, moving at `velocity`, each (joints,)."""

    def __init__(self, position: Vector, servo: Servo | None = None) -> None:
        self._servo = servo or Servo()
        self._now_s = 0.0
        self._coming: deque[tuple[float, Vector]] = deque()
        self._torque = True
        self._hand: Vector | None = None
        self.falls = False
        """Whether a joint without torque falls; it stays where it is otherwise."""
        self.position: Vector = position.astype(np.float64)
        self.velocity: Vector = np.zeros_like(self.position)
        self.lower: Vector = np.full_like(self.position, -END)
        self.upper: Vector = np.full_like(self.position, END)
        """Walls that no joint passes."""
        self._target = self.position.copy()

    @property
    def driven(self) -> bool:
        """Whether it is its servos that decide where it goes."""
        return self._torque and self._hand is None

    def follow(self, target: Vector) -> None:
        """Be told a place, (joints,)."""
        self._coming.append((self._now_s + self._servo.dead_s, target))

    def stay(self) -> None:
        """Hold the place where it is, as servos do that are switched on."""
        self._coming.clear()
        self._target = self.position.copy()

    def torque(self, on: bool) -> None:
        """Switch the servos on or off."""
        self._torque = on
        self.stay()

    def carry(self, target: Vector | None) -> None:
        """A hand takes the arm to `target`; None: it lets go."""
        self._hand = target
        if target is None:
            self.stay()

    def place(self, position: Vector) -> None:
        """Be somewhere else at once: for whoever arranges a scene."""
        self.position, self.velocity = position.astype(np.float64), np.zeros_like(position)
        self.stay()

    def step(self, elapsed_s: float) -> Vector:
        """Let time pass; returns the largest speed of each joint meanwhile, rad/s."""
        fastest = np.zeros_like(self.position)
        while elapsed_s > _REACHED:
            dt_s = min(_STEP_S, elapsed_s)
            elapsed_s -= dt_s
            self._now_s += dt_s
            while self._coming and self._coming[0][0] <= self._now_s:
                self._target = self._coming.popleft()[1]
            self._move(dt_s)
            fastest = np.maximum(fastest, np.abs(self.velocity))
        return fastest

    def _move(self, dt_s: float) -> None:
        servo, before = self._servo, self.position
        if self._hand is not None:
            wanted = np.clip((self._hand - before) / dt_s, -_HAND_SPEED, _HAND_SPEED)
            most = np.inf
        elif self._torque:
            wanted = np.clip(servo.gain * (self._target - before), -servo.velocity, servo.velocity)
            most = servo.acceleration * dt_s
        elif self.falls:
            wanted, most = np.full_like(before, -np.inf), _FALL * dt_s
        else:
            wanted, most = np.zeros_like(before), np.inf
        self.velocity = self.velocity + np.clip(wanted - self.velocity, -most, most)
        free = before + self.velocity * dt_s
        self.position = np.clip(
            free, np.minimum(self.lower, before), np.maximum(self.upper, before)
        )
        self.velocity = np.where(self.position == free, self.velocity, 0.0)
