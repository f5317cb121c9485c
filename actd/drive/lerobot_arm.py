"""Any robot that LeRobot knows, plugins included, as an arm.

Its cameras are left to the daemon. Raises UsageError and ArmError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actd.drive import lerobot_devices
from actd.drive.arm import Joints
from actd.drive.lerobot_devices import ROBOT, replace_fields, scalars
from actd.errors import UsageError

# What the daemon's side decides, wherever it is in a robot's configuration.
_CAMERAS, _TORQUE = "cameras", "disable_torque_on_disconnect"


class LeRobotArm:
    """One robot, made by `make_arm`."""

    def __init__(self, robot: Any, flags: Sequence[str]) -> None:
        self._robot = robot
        self._flags = flags
        self.joints = Joints(
            measured=scalars(ROBOT, robot, "observation_features"),
            commanded=scalars(ROBOT, robot, "action_features"),
            units=lerobot_devices.units(robot),
            ordered=True,
        )

    def connect(self) -> None:
        """Connect, unless the robot would ask something: then ArmError, before it has torque."""
        lerobot_devices.connect(ROBOT, self._robot, self._flags)

    def read(self) -> dict[str, float]:
        """Everything it measures that is a number."""
        observation = self._robot.get_observation()
        return {name: observation[name] for name in self.joints.measured}

    def command(self, targets: Mapping[str, float]) -> None:
        """Send an action."""
        self._robot.send_action(dict(targets))

    def close(self) -> None:
        """Disconnect what is connected of it."""
        lerobot_devices.disconnect(ROBOT, self._robot)


def make_arm(flags: Sequence[str], *, keep_torque: bool) -> tuple[LeRobotArm, list[str]]:
    """The robot that LeRobot makes of `--robot.` flags, not connected, and what to tell the user.

    keep_torque: whether its motors hold when it is closed.
    """
    if any(flag.partition("=")[0].endswith(f".{_TORQUE}") for flag in flags):
        raise UsageError(f"--robot.{_TORQUE}: decided by --torque; give --torque=keep or release")
    kind, config = lerobot_devices.configuration(ROBOT, flags)
    notes = []
    dropped = replace_fields(config, _CAMERAS, lambda cameras: type(cameras)())
    cameras = [name for value in dropped if isinstance(value, Mapping) for name in value]
    if cameras:
        notes.append(f"cameras left to the daemon: {', '.join(cameras)}")
    if not replace_fields(config, _TORQUE, lambda _: not keep_torque):
        notes.append(f"{kind}: has no {_TORQUE}; its driver decides whether it holds at the end")
    return LeRobotArm(lerobot_devices.make(ROBOT, kind, config), flags), notes
