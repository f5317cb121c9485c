"""Any robot that LeRobot knows, plugins included, as an arm.

Its cameras are left to the daemon, or their images served to it. Raises UsageError and ArmError.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from actd.drive import lerobot_cameras, lerobot_devices
from actd.drive.arm import Joints
from actd.drive.bus_loop import Say
from actd.drive.image_server import ImageServer
from actd.drive.lerobot_devices import ROBOT, replace_fields, scalars
from actd.errors import ArmError, UsageError

# What the daemon's side decides, wherever it is in a robot's configuration.
_CAMERAS, _TORQUE = "cameras", "disable_torque_on_disconnect"
# Away from its host it gives its last observation again and again.
_REPEATS_ITSELF = ("lekiwi_client",)
_REPEATED_NS = 200_000_000


class LeRobotArm:
    """One robot, made by `make_arm`."""

    def __init__(self, robot: Any, flags: Sequence[str], cameras: Mapping[str, Any]) -> None:
        self._robot = robot
        self._flags = flags
        self._cameras = cameras
        self._ports = lerobot_devices.servo_ports(ROBOT, robot)
        self.joints = Joints(
            measured=scalars(ROBOT, robot, "observation_features"),
            commanded=scalars(ROBOT, robot, "action_features"),
            units=lerobot_devices.units(ROBOT, robot),
            ordered=True,
        )
        features: Mapping[str, Any] = robot.observation_features
        # What comes with an observation, each with its last image.
        self._images: dict[str, object] = {
            name: None
            for name, shape in features.items()
            if isinstance(shape, tuple) and shape[2:] == (3,) and name not in cameras
        }
        self._server: ImageServer | None = None
        self._newest: object = None
        self._newest_ns = 0

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the images that it can serve."""
        return (*self._cameras, *self._images)

    @contextmanager
    def serving(self, host: str, port: int, say: Say) -> Iterator[None]:
        """Serve its images there until the block ends. Raises LinkError and UsageError."""
        with (
            closing(ImageServer(host, port)) as self._server,
            lerobot_cameras.reading(self._cameras, self._server, say),
        ):
            yield
        self._server = None

    def connect(self) -> None:
        """Connect, unless the robot would ask something: then ArmError, before it has torque."""
        lerobot_devices.connect(ROBOT, self._robot, self._flags)

    def read(self) -> dict[str, float]:
        """Everything it measures that is a number."""
        self._ports.clear()
        observation = self._robot.get_observation()
        self._check_newer(observation)
        if self._server is not None:
            for name, last in self._images.items():
                image = observation.get(name)
                if image is not None and image is not last:
                    self._images[name] = image
                    self._server.put(name, image)
        return {name: observation[name] for name in self.joints.measured}

    def _check_newer(self, observation: object) -> None:
        now_ns = time.monotonic_ns()
        if observation is not self._newest:
            self._newest, self._newest_ns = observation, now_ns
        elif self._robot.name in _REPEATS_ITSELF and now_ns - self._newest_ns > _REPEATED_NS:
            raise ArmError(
                f"nothing new for {(now_ns - self._newest_ns) / 1e9:.1f} s; see whether its host "
                "runs and the network works"
            )

    def command(self, targets: Mapping[str, float]) -> None:
        """Send an action."""
        self._ports.clear()
        self._robot.send_action(dict(targets))

    def close(self) -> None:
        """Disconnect what is connected of it."""
        lerobot_devices.disconnect(ROBOT, self._robot, self._ports)


def make_arm(
    flags: Sequence[str], *, keep_torque: bool, keep_cameras: bool = False
) -> tuple[LeRobotArm, list[str]]:
    """The robot that LeRobot makes of `--robot.` flags, not connected, and what to tell the user.

    keep_torque: whether its motors hold when it is closed. keep_cameras: whether it has images.
    """
    if any(flag.partition("=")[0].endswith(f".{_TORQUE}") for flag in flags):
        raise UsageError(f"--robot.{_TORQUE}: decided by --torque; give --torque=keep or release")
    kind, config = lerobot_devices.configuration(ROBOT, flags)
    notes = []
    if not keep_cameras:
        dropped = replace_fields(config, _CAMERAS, lambda cameras: type(cameras)())
        left = [name for value in dropped if isinstance(value, Mapping) for name in value]
        if left:
            notes.append(f"cameras left to the daemon: {', '.join(left)}")
    if not replace_fields(config, _TORQUE, lambda _: not keep_torque):
        notes.append(f"{kind}: has no {_TORQUE}; its driver decides whether it holds at the end")
    robot = lerobot_devices.make(ROBOT, kind, config)
    arm = LeRobotArm(robot, flags, lerobot_cameras.take_cameras(robot) if keep_cameras else {})
    if keep_cameras and not arm.images:
        raise UsageError(
            f"--cameras=robot: {kind} has none; give LeRobot's --robot.cameras='{{front: {{type: "
            "opencv, index_or_path: /dev/video0, width: 640, height: 480, fps: 30}}', or leave "
            "--cameras out and let the daemon open them"
        )
    return arm, notes
