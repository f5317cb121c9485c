"""The table of the scripted task: the simulator's two arms, and a bar that lies anywhere.

Owns where the bar is and where the grippers can go. Joints, units and images are those of
`actd.sim.aloha`. A place that an arm cannot reach raises UnreachableError: draw another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actd.arrays import Vector
from actd.sim.aloha import ARM, AlohaSim

BAR_HALF_M = (0.05, 0.02, 0.02)
BAR_BODY, BAR_GEOM = "box", "red_box"
# From the gripper's frame to the point between its fingertips, along the gripper.
FINGERTIPS_M = 0.115
REST_S = 0.3

BENT_WRIST_RAD = 0.7
STEPS, DAMPING, CLOSE_M, CLOSE_RAD = 200, 0.1, 0.002, 0.02


class UnreachableError(ValueError):
    """No joint angles bring the gripper to the place."""


class Place(NamedTuple):
    """Where the fingertips are (metres, world) and how the gripper points (radians).

    `yaw` turns it about the vertical, 0 being straight ahead of its own arm; `pitch` lowers it.
    """

    x: float
    y: float
    z: float
    yaw: float = 0.0
    pitch: float = 0.0


class Table(AlohaSim):
    """The simulator with its cube made a bar, so that an image shows which way it lies."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        bar = self._model.geom(BAR_GEOM).id
        self._model.geom_size[bar] = BAR_HALF_M
        self._model.geom_aabb[bar] = (0.0, 0.0, 0.0, *BAR_HALF_M)
        self._model.geom_rbound[bar] = np.linalg.norm(BAR_HALF_M)
        self._trial = self._mujoco.MjData(self._model)

    def reset(self, x: float, y: float, yaw: float) -> None:
        """Arms at the start pose, the bar at rest at (x, y), turned by `yaw` radians."""
        self._mujoco.mj_resetDataKeyframe(self._model, self._data, 0)
        self._time_s = 0.0
        address = self._model.jnt_qposadr[self._model.body(BAR_BODY).jntadr[0]]
        upright = (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        self._data.qpos[address : address + 7] = (x, y, BAR_HALF_M[2], *upright)
        self._mujoco.mj_forward(self._model, self._data)
        self._aim(self.state())
        for _ in range(round(REST_S / 0.1)):
            self.step({}, 0.1)

    def bar(self) -> Vector:
        """Where the middle of the bar is: (3,) metres."""
        position: Vector = self._data.body(BAR_BODY).xpos.copy()
        return position

    def reach(self, side: str, place: Place) -> dict[str, float]:
        """Angles of the six arm joints of `side` ("left", "right") at `place`, by name.

        Damped least squares on MuJoCo's Jacobian, from the start pose, so that the same place
        always has the same answer. Raises UnreachableError.
        """
        self._mujoco.mj_resetDataKeyframe(self._model, self._trial, 0)
        body = self._model.body(f"vx300s_{side}/gripper_link").id
        joints = [self._model.joint(f"vx300s_{side}/{name}").id for name in ARM]
        places, speeds = self._model.jnt_qposadr[joints], self._model.jnt_dofadr[joints]
        low, high = self._model.jnt_range[joints].T
        # The wrist bent down keeps to one of its two ways to point anywhere, away from straight,
        # where they meet and the forearm may roll by half a turn.
        self._trial.qpos[places[ARM.index("wrist_angle")]] = BENT_WRIST_RAD
        turn = _orientation(place.yaw + (np.pi if side == "right" else 0.0), place.pitch)
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


def _orientation(yaw: float, pitch: float) -> Vector:
    """Rotation (3, 3) whose columns are the gripper's axes: x ahead, y across the fingers."""
    c, s = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    ahead, across = (c * cp, s * cp, -sp), (-s, c, 0.0)
    return np.stack([ahead, across, np.cross(ahead, across)], axis=1)
