"""Any robot that LeRobot knows, plugins included, as an arm.

LeRobot itself parses the `--robot.` flags, finds plugins and makes the robot. Its cameras are left
to the daemon, and a question that it would ask on the terminal (calibration) is refused with the
command that answers it. Raises UsageError and ArmError.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import io
import logging
import pkgutil
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, make_dataclass
from typing import Any, NoReturn

from actd import crash
from actd.drive.agreement import DEGREES, NORMALIZED, PERCENT
from actd.drive.arm import Joints
from actd.errors import SEPARATOR, ArmError, UsageError

_TYPE = "--robot.type"
_UNITS = {"degrees": DEGREES, "range_m100_100": NORMALIZED, "range_0_100": PERCENT}
# What the daemon's side decides, wherever it is in a robot's configuration.
_CAMERAS, _TORQUE = "cameras", "disable_torque_on_disconnect"
_HERE = (
    "run actd drive in the environment where LeRobot's own commands run, or give a class of your "
    "own: actd drive my_arm.py:MyArm"
)


class LeRobotArm:
    """One robot, made by `make_arm`."""

    def __init__(self, robot: Any, flags: Sequence[str]) -> None:
        self._robot = robot
        self._flags = flags
        self.joints = Joints(
            measured=_scalars(robot.observation_features),
            commanded=_scalars(robot.action_features),
            units=_units(robot),
            ordered=True,
        )

    def connect(self) -> None:
        """Connect, unless the robot would ask something: then ArmError, before it has torque."""
        for part in _robots(self._robot):
            part.calibrate = self._uncalibrated
        with _no_questions():
            self._robot.connect()
            if not self._robot.is_calibrated:
                self._uncalibrated()

    def read(self) -> dict[str, float]:
        """Everything it measures that is a number."""
        observation = self._robot.get_observation()
        return {name: observation[name] for name in self.joints.measured}

    def command(self, targets: Mapping[str, float]) -> None:
        """Send an action."""
        self._robot.send_action(dict(targets))

    def close(self) -> None:
        """Disconnect what is connected of it."""
        if self._robot.is_connected:
            self._robot.disconnect()
            return
        for part in _robots(self._robot):
            if part.is_connected:
                part.disconnect()

    def _uncalibrated(self) -> NoReturn:
        command = shlex.join(["lerobot-calibrate", *self._flags])
        raise ArmError(f"{self._robot}: not calibrated; run: {command}")


def make_arm(flags: Sequence[str], *, keep_torque: bool) -> tuple[LeRobotArm, list[str]]:
    """The robot that LeRobot makes of `--robot.` flags, not connected, and what to tell the user.

    keep_torque: whether its motors hold when it is closed.
    """
    registry, failures = _registry()
    kind = _kind(flags, registry, failures)
    if any(flag.partition("=")[0].endswith(f".{_TORQUE}") for flag in flags):
        raise UsageError(f"--robot.{_TORQUE}: decided by --torque; give --torque=keep or release")
    config = _parse(flags, registry)
    notes = []
    dropped = _set(config, _CAMERAS, lambda cameras: type(cameras)())
    cameras = [name for value in dropped if isinstance(value, Mapping) for name in value]
    if cameras:
        notes.append(f"cameras left to the daemon: {', '.join(cameras)}")
    if not _set(config, _TORQUE, lambda _: not keep_torque):
        notes.append(f"{kind}: has no {_TORQUE}; its driver decides whether it holds at the end")
    try:
        robot = importlib.import_module("lerobot.robots").make_robot_from_config(config)
    except Exception as error:  # noqa: BLE001  a driver's constructor may raise anything
        raise UsageError(
            f"{_TYPE}={kind}: cannot be made: {_cause(error)}; see whether LeRobot's own commands "
            "run with it"
        ) from None
    return LeRobotArm(robot, flags), notes


def _registry() -> tuple[Any, list[str]]:
    """LeRobot's RobotConfig, with every robot registered that can be imported, and which cannot."""
    try:
        robots = importlib.import_module("lerobot.robots")
        utils = importlib.import_module("lerobot.utils.import_utils")
        packages = (robots, importlib.import_module("lerobot.cameras"))
    except ImportError as error:
        if error.name and error.name.partition(".")[0] == "lerobot":
            raise UsageError(f"{_TYPE}: LeRobot is not installed here; {_HERE}") from None
        raise UsageError(f"{_TYPE}: LeRobot fails here: {crash.words(error)}; {_HERE}") from None
    failures = []
    for package in packages:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            try:
                importlib.import_module(module.name)
            except Exception as error:  # noqa: BLE001  what lacks a library is no robot here
                failures.append(f"{module.name}: {crash.words(error)}")
    # LeRobot logs what fails of a plugin, with the traceback.
    plugins = _Failures()
    logging.getLogger().addFilter(plugins)
    try:
        utils.register_third_party_plugins()
    finally:
        logging.getLogger().removeFilter(plugins)
    return robots.RobotConfig, failures + plugins.lines


class _Failures(logging.Filter):
    """Keeps what is logged of exceptions to itself, a line each."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            plugin = record.getMessage().rpartition(": ")[2]
            self.lines.append(f"{plugin}: {crash.words(error)}")
        return error is None


def _kind(flags: Sequence[str], registry: Any, failures: Sequence[str]) -> str:
    kinds = [value for flag, _, value in (f.partition("=") for f in flags) if flag == _TYPE]
    known = sorted(registry.get_known_choices())
    if not kinds:
        raise UsageError(f"{_TYPE}: missing; one of {', '.join(known)}")
    # A package named on the command line may bring what is not known yet.
    if kinds[-1] not in known and not any("discover_packages_path" in flag for flag in flags):
        failed = f" (could not be imported: {SEPARATOR.join(failures)})" if failures else ""
        raise UsageError(
            f"{_TYPE}: {kinds[-1]}: unknown to LeRobot here; it knows {', '.join(known)}{failed}; "
            "a plugin is a package named lerobot_robot_..., installed in this environment"
        )
    return kinds[-1]


def _parse(flags: Sequence[str], registry: Any) -> Any:
    """The robot's configuration, by LeRobot's own parser. Raises UsageError."""
    parser = importlib.import_module("lerobot.configs.parser")
    options = make_dataclass("Options", [("robot", registry)])

    def parsed(options: Any) -> Any:
        return options.robot

    parsed.__annotations__ = {"options": options}
    said = io.StringIO()
    argv = sys.argv
    sys.argv = [argv[0], *flags]
    try:
        with contextlib.redirect_stderr(said):
            return parser.wrap()(parsed)()
    except SystemExit:
        lines = [line for line in said.getvalue().splitlines() if line.strip()]
        found = lines[-1].rpartition("error: ")[2] if lines else "not understood"
        raise UsageError(f"--robot.: {found}; give LeRobot's own flags for this robot") from None
    except Exception as error:  # noqa: BLE001  draccus and configurations raise many kinds
        raise UsageError(
            f"--robot.: {_cause(error)}; give LeRobot's own flags for this robot"
        ) from None
    finally:
        sys.argv = argv


def _set(config: Any, name: str, value: Any) -> list[Any]:
    """Replace field `name` by `value(old)` in a configuration and those in it; the old ones."""
    replaced = []
    for field in fields(config) if is_dataclass(config) else ():
        found = getattr(config, field.name)
        if field.name == name:
            setattr(config, name, value(found))
            replaced.append(found)
        else:
            replaced += _set(found, name, value)
    return replaced


def _scalars(features: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, kind in features.items() if not isinstance(kind, tuple))


def _robots(robot: Any) -> Iterator[Any]:
    """The robot, and the robots it is made of."""
    kind = importlib.import_module("lerobot.robots").Robot
    yield robot
    for part in vars(robot).values():
        if isinstance(part, kind):
            yield from _robots(part)


def _units(robot: Any, prefix: str = "") -> dict[str, str]:
    """Joint -> unit, of motors on a bus: only there LeRobot says it."""
    units = {}
    for name, part in vars(robot).items():
        motors = getattr(part, "motors", None) if name.startswith("bus") else None
        for motor, details in motors.items() if isinstance(motors, Mapping) else ():
            mode = getattr(details, "norm_mode", None)
            units[f"{prefix}{motor}.pos"] = _UNITS.get(str(getattr(mode, "value", "")), "")
        if name in ("left_arm", "right_arm"):
            units |= _units(part, f"{prefix}{name.removesuffix('arm')}")
    return units


@contextlib.contextmanager
def _no_questions() -> Iterator[None]:
    def asked(prompt: object = "") -> NoReturn:
        raise ArmError(
            f"the robot asks {' '.join(str(prompt).split())[:100]!r}, which nobody can answer "
            "while it is driven; set it up with LeRobot's own commands first"
        )

    answer, builtins.input = builtins.input, asked
    try:
        yield
    finally:
        builtins.input = answer


def _cause(error: BaseException) -> str:
    """The innermost reason: draccus wraps each error into others."""
    while (inner := error.__cause__ or error.__context__) is not None and inner is not error:
        error = inner
    return crash.words(error)
