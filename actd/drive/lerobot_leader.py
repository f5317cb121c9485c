"""Any leader arm that LeRobot knows, plugins included: where it is, and where it has motors, a way
to bring it to the arm. Raises UsageError and ArmError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from actd.drive import lerobot_devices
from actd.drive.arm import Joints
from actd.drive.lerobot_devices import LEADER, scalars

# These have motors. LeRobot gives no access to them before 0.6, and since then in this way.
_FEETECH = ("so100_leader", "so101_leader", "bi_so_leader")


class LeRobotLeader:
    """One leader that is moved by hand alone."""

    def __init__(self, teleop: Any, flags: Sequence[str]) -> None:
        self._teleop = teleop
        self._flags = flags
        self._ports = lerobot_devices.servo_ports(LEADER, teleop)
        self.joints = Joints(
            measured=scalars(LEADER, teleop, "action_features"),
            units=lerobot_devices.units(LEADER, teleop),
        )

    def connect(self) -> None:
        """Connect, unless the leader would ask something: then ArmError."""
        lerobot_devices.connect(LEADER, self._teleop, self._flags)

    def read(self) -> dict[str, float]:
        """Where it is."""
        self._ports.clear()
        action = self._teleop.get_action()
        return {name: action[name] for name in self.joints.measured}

    def close(self) -> None:
        """Disconnect what is connected of it; LeRobot switches its motors off."""
        lerobot_devices.disconnect(LEADER, self._teleop, self._ports)


class _Motors(NamedTuple):
    enable: Callable[[], object]
    disable: Callable[[], object]
    send: Callable[[dict[str, float]], object]


class DrivenLeader(LeRobotLeader):
    """One whose motors bring it to where the arm is, until a hand leads it."""

    def __init__(self, teleop: Any, flags: Sequence[str], motors: _Motors) -> None:
        super().__init__(teleop, flags)
        self._motors = motors
        self._holds = False

    def follow(self, targets: Mapping[str, float]) -> None:
        """Go there; with torque from the first time on."""
        self._ports.clear()
        self._motors.send(dict(targets))
        if not self._holds:
            # Only now: torque pulls a servo to the goal that it was told last.
            self._motors.enable()
            self._holds = True

    def release(self) -> None:
        """Let a hand move it."""
        self._ports.clear()
        self._motors.disable()
        self._holds = False


def make_leader(flags: Sequence[str]) -> LeRobotLeader:
    """The leader that LeRobot makes of `--teleop.` flags, not connected."""
    kind, config = lerobot_devices.configuration(LEADER, flags)
    teleop = lerobot_devices.make(LEADER, kind, config)
    motors = _motors(teleop, kind)
    return LeRobotLeader(teleop, flags) if motors is None else DrivenLeader(teleop, flags, motors)


def _motors(teleop: Any, kind: str) -> _Motors | None:
    if teleop.feedback_features and hasattr(teleop, "enable_torque"):
        return _Motors(teleop.enable_torque, teleop.disable_torque, teleop.send_feedback)
    if kind not in _FEETECH:
        return None
    arms = {f"{side}_": getattr(teleop, f"{side}_arm", None) for side in ("left", "right")}
    buses = {prefix: arm.bus for prefix, arm in arms.items() if arm} or {"": teleop.bus}

    def send(targets: dict[str, float]) -> None:
        for prefix, bus in buses.items():
            goals = {motor: targets[f"{prefix}{motor}.pos"] for motor in bus.motors}
            bus.sync_write("Goal_Position", goals)

    return _Motors(
        lambda: [bus.enable_torque() for bus in buses.values()],
        lambda: [bus.disable_torque() for bus in buses.values()],
        send,
    )
