"""Joint angles that bring a gripper of the simulated ALOHA to a place: inverse kinematics.

Damped least squares on MuJoCo's Jacobian. Owns a copy of the simulation's state to try angles on,
so the arms themselves do not move. A place that an arm cannot reach raises UnreachableError: draw
another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from actd.arrays import Vector
from actd.sim.aloha import ARM, AlohaSim

# From the gripper's frame to the point between its fingertips, along the gripper.
FINGERTIPS_M = 0.115
BENT_WRIST_RAD = 0.7
STEPS, DAMPING, CLOSE_M, CLOSE_RAD = 200, 0.1, 0.002, 0.02


class UnreachableError(ValueError):
    """No joint angles bring the gripper to the place."""


class Place(NamedTuple):
    """Where the fingertips are (metres, world) and how the gripper points (radians).

    `yaw` turns it about the vertical, 0 being straight ahead of its own arm; `pitch` lowers it;
    `roll` turns the fingers about where it points.
    """

    x: float
    y: float
    z: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


class Reach:
    """Inverse kinematics of both arms of `sim`."""

    def __init__(self, sim: AlohaSim) -> None:
        import mujoco  # by now actd.sim.gl has chosen what it draws with

        self._mujoco: Any = mujoco
        self._model = sim.model
        self._trial = mujoco.MjData(self._model)

    def angles(self, side: str, place: Place) -> dict[str, float]:
        """Angles of the six arm joints of `side` ("left", "right") at `place`, by name.

        From the start pose, so that the same place always has the same answer. Raises
        UnreachableError.
        """
        self._mujoco.mj_resetDataKeyframe(self._model, self._trial, 0)
        body = self._model.body(f"vx300s_{side}/gripper_link").id
        joints = [self._model.joint(f"vx300s_{side}/{name}").id for name in ARM]
        places, speeds = self._model.jnt_qposadr[joints], self._model.jnt_dofadr[joints]
        low, high = self._model.jnt_range[joints].T
        # The wrist bent down keeps to one of its two ways to point anywhere, away from straight,
        # where they meet and the forearm may roll by half a turn.
        self._trial.qpos[places[ARM.index("wrist_angle")]] = BENT_WRIST_RAD
        turn = _orientation(
            place.yaw + (np.pi if side == "right" else 0.0), place.pitch, place.roll
        )
        jacobian = np.zeros((6, self._model.nv))
        for _ in range(STEPS):
            self._mujoco.mj_kinematics(self._model, self._trial)
            self._mujoco.mj_comPos(self._model, self._trial)
            now = self._trial.xmat[body].reshape(3, 3)
            tips = self._trial.xpos[body] + FINGERTIPS_M * now[:, 0]
            error = np.concatenate([place[:3] - tips, 0.5 * np.cross(now.T, turn.T).sum(axis=0)])
            if np.abs(error[:3]).max() < CLOSE_M and np.abs(error[3:]).max() < CLOSE_RAD:
                angles = self._trial.qpos[places]
                return {
                    f"{side}_arm_{name}": float(value)
                    for name, value in zip(ARM, angles, strict=True)
                }
            self._mujoco.mj_jac(self._model, self._trial, jacobian[:3], jacobian[3:], tips, body)
            slope = jacobian[:, speeds]
            step = slope.T @ np.linalg.solve(slope @ slope.T + DAMPING**2 * np.eye(6), error)
            self._trial.qpos[places] = np.clip(self._trial.qpos[places] + step, low, high)
        raise UnreachableError(f"{side} arm at {place}")


def _orientation(yaw: float, pitch: float, roll: float) -> Vector:
    """Rotation (3, 3) whose columns are the gripper's axes: x ahead, y across the fingers."""
    c, s = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    ahead, across = np.array([c * cp, s * cp, -sp]), np.array([-s, c, 0.0])
    across = np.cos(roll) * across + np.sin(roll) * np.cross(ahead, across)
    return np.stack([ahead, across, np.cross(ahead, across)], axis=1)
