"""What LeRobot's flags name, a robot or a leader: found, configured and made by LeRobot itself.

LeRobot parses the flags and finds plugins. A question that it would ask on the terminal
(calibration) is refused with the command that answers it. Raises UsageError and ArmError.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import importlib
import io
import logging
import pkgutil
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from typing import Any, NoReturn

from actd import crash
from actd.drive.agreement import DEGREES, NORMALIZED, PERCENT
from actd.drive.servo_ports import ServoPorts
from actd.errors import SEPARATOR, ArmError, UsageError

# Of a type within, such as a camera's: draccus before and since LeRobot 0.6.
_UNKNOWN_TYPE = re.compile(r"(?:^KeyError: |choice class for )('[^']*')")
_UNITS = {"degrees": DEGREES, "range_m100_100": NORMALIZED, "range_0_100": PERCENT}


@dataclass(frozen=True, slots=True)
class Device:
    """A kind of device: `flag` is the prefix of its flags, `what` its name in sentences,
    `otherwise` what to do where LeRobot is not there, `label` what precedes one's name; the rest
    are LeRobot's names.
    """

    flag: str
    what: str
    otherwise: str
    label: str
    package: str
    base: str
    maker: str
    plugin: str

    @property
    def type_flag(self) -> str:
        """The flag that says which one it is."""
        return f"{self.flag}type"


ROBOT = Device(
    flag="--robot.",
    what="the robot",
    otherwise="run actd drive in the environment where LeRobot's own commands run, or give a class "
    "of your own: actd drive my_arm.py:MyArm",
    label="",
    package="lerobot.robots",
    base="Robot",
    maker="make_robot_from_config",
    plugin="lerobot_robot_...",
)
LEADER = Device(
    flag="--teleop.",
    what="the leader",
    otherwise="run actd drive in the environment where LeRobot's own commands run, or give a class "
    "of your own: --teleop=my_leader.py:MyLeader",
    label="leader ",
    package="lerobot.teleoperators",
    base="Teleoperator",
    maker="make_teleoperator_from_config",
    plugin="lerobot_teleoperator_...",
)


def configuration(device: Device, flags: Sequence[str]) -> tuple[str, Any]:
    """Which type the flags name, and LeRobot's configuration of it."""
    registry, failures = _registry(device)
    return _type(device, flags, registry, failures), _parse(device, flags, registry)


def make(device: Device, kind: str, config: Any) -> Any:
    """The device, not connected."""
    try:
        return getattr(importlib.import_module(device.package), device.maker)(config)
    except Exception as error:  # noqa: BLE001  a driver's constructor may raise anything
        raise UsageError(
            f"{device.type_flag}={kind}: cannot be made: {_cause(error)}; see whether LeRobot's "
            "own commands run with it"
        ) from None


def _registry(device: Device) -> tuple[Any, list[str]]:
    """LeRobot's configuration class, with all devices registered that can be imported, and those
    that cannot.
    """
    flag = device.type_flag
    try:
        devices = importlib.import_module(device.package)
        utils = importlib.import_module("lerobot.utils.import_utils")
        packages = (devices, importlib.import_module("lerobot.cameras"))
    except ImportError as error:
        if error.name and error.name.partition(".")[0] == "lerobot":
            raise UsageError(f"{flag}: LeRobot is not installed here; {device.otherwise}") from None
        raise UsageError(
            f"{flag}: LeRobot fails here: {crash.words(error)}; {device.otherwise}"
        ) from None
    failures = []
    for package in packages:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            try:
                importlib.import_module(module.name)
            except Exception as error:  # noqa: BLE001  what lacks a library is no device here
                failures.append(f"{module.name}: {crash.words(error)}")
    # LeRobot logs what fails of a plugin, with the traceback.
    plugins = _Failures()
    logging.getLogger().addFilter(plugins)
    try:
        utils.register_third_party_plugins()
    finally:
        logging.getLogger().removeFilter(plugins)
    return getattr(devices, f"{device.base}Config"), failures + plugins.lines


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


def _type(device: Device, flags: Sequence[str], registry: Any, failures: Sequence[str]) -> str:
    type_flag = device.type_flag
    kinds = [value for flag, _, value in (f.partition("=") for f in flags) if flag == type_flag]
    known = sorted(registry.get_known_choices())
    if not kinds:
        raise UsageError(f"{type_flag}: missing; one of {', '.join(known)}")
    # A package named on the command line may bring what is not known yet.
    if kinds[-1] not in known and not any("discover_packages_path" in flag for flag in flags):
        failed = f" (could not be imported: {SEPARATOR.join(failures)})" if failures else ""
        raise UsageError(
            f"{type_flag}: {kinds[-1]}: unknown to LeRobot here; it knows {', '.join(known)}"
            f"{failed}; a plugin is a package named {device.plugin}, installed in this environment"
        )
    return kinds[-1]


def _parse(device: Device, flags: Sequence[str], registry: Any) -> Any:
    """The device's configuration, by LeRobot's own parser. Raises UsageError."""
    parser = importlib.import_module("lerobot.configs.parser")
    name = device.flag.strip("-.")
    options = make_dataclass("Options", [(name, registry)])

    def parsed(options: Any) -> Any:
        return getattr(options, name)

    parsed.__annotations__ = {"options": options}
    remedy = f"give LeRobot's own flags for {device.what}"
    said = io.StringIO()
    argv = sys.argv
    sys.argv = [argv[0], *flags]
    try:
        with contextlib.redirect_stderr(said):
            return parser.wrap()(parsed)()
    except SystemExit:
        lines = [line for line in said.getvalue().splitlines() if line.strip()]
        cause = lines[-1].rpartition("error: ")[2] if lines else "not understood"
    except Exception as error:  # noqa: BLE001  draccus and configurations raise many kinds
        cause = _cause(error)
    finally:
        sys.argv = argv
    if unknown := _UNKNOWN_TYPE.search(cause):
        cause = f"{unknown[1]} is no type that LeRobot knows here"
    raise UsageError(f"{device.flag}: {cause}; {remedy}")


def replace_fields(config: Any, name: str, value: Any) -> list[Any]:
    """Replace field `name` by `value(old)` in a configuration and those in it; the old ones."""
    replaced = []
    for field in fields(config) if is_dataclass(config) else ():
        old = getattr(config, field.name)
        if field.name == name:
            setattr(config, name, value(old))
            replaced.append(old)
        else:
            replaced += replace_fields(old, name, value)
    return replaced


def connect(device: Device, whole: Any, flags: Sequence[str]) -> None:
    """Connect, unless it would ask something: then ArmError, before a robot has torque."""

    def uncalibrated() -> NoReturn:
        command = shlex.join(["lerobot-calibrate", *flags])
        raise ArmError(f"{device.label}{whole}: not calibrated; run: {command}")

    for _, part in parts(device, whole):
        part.calibrate = uncalibrated
    with no_questions(device):
        whole.connect()
        # None: it cannot say, as a LeKiwi's client, whose host was asked.
        if whole.is_calibrated not in (True, None):
            uncalibrated()


def scalars(device: Device, whole: Any, features: str) -> tuple[str, ...]:
    """The names of those of its `features` (LeRobot's name of them) that are one number."""
    try:
        kinds: Mapping[str, Any] = getattr(whole, features)
    except Exception as error:  # noqa: BLE001  a driver may raise anything
        raise UsageError(
            f"{device.type_flag}: {device.what} cannot say which joints it has "
            f"({crash.words(error)}); choose another type"
        ) from None
    return tuple(name for name, kind in kinds.items() if not isinstance(kind, tuple))


def parts(device: Device, whole: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The device, and the devices it is made of, each with what precedes the names of its joints
    and cameras.
    """
    kind = getattr(importlib.import_module(device.package), device.base)
    yield prefix, whole
    for name, part in vars(whole).items():
        if isinstance(part, kind):
            side = name.removesuffix("arm") if name in ("left_arm", "right_arm") else ""
            yield from parts(device, part, f"{prefix}{side}")


def buses(device: Device, whole: Any) -> Iterator[tuple[str, Any]]:
    """The buses of its motors, each with what precedes the names of their joints."""
    for prefix, part in parts(device, whole):
        for name, bus in vars(part).items():
            if name.startswith("bus"):
                yield prefix, bus


def servo_ports(device: Device, whole: Any) -> ServoPorts:
    """The ports of those buses."""
    return ServoPorts(bus for _, bus in buses(device, whole))


def units(device: Device, whole: Any) -> dict[str, str]:
    """Joint -> unit, of motors on a bus: only there LeRobot says it."""
    by_joint = {}
    for prefix, bus in buses(device, whole):
        motors = getattr(bus, "motors", None)
        for motor, details in motors.items() if isinstance(motors, Mapping) else ():
            mode = getattr(details, "norm_mode", None)
            unit = _UNITS.get(str(getattr(mode, "value", "")), "")
            by_joint[f"{prefix}{motor}.pos"] = unit
    return by_joint


def disconnect(device: Device, whole: Any, ports: ServoPorts) -> None:
    """Disconnect what is connected of it; again where a signal broke into a packet."""
    ports.clear()
    try:
        _disconnect(device, whole)
    except Exception as error:
        if error.args[:1] != (errno.EINTR,):
            raise
        disconnect(device, whole, ports)


def _disconnect(device: Device, whole: Any) -> None:
    if whole.is_connected:
        whole.disconnect()
        return
    for _, part in parts(device, whole):
        if part.is_connected:
            part.disconnect()


@contextlib.contextmanager
def no_questions(device: Device) -> Iterator[None]:
    """Within it, whoever asks at the terminal is refused."""

    def asked(prompt: object = "") -> NoReturn:
        raise ArmError(
            f"{device.what} asks {' '.join(str(prompt).split())[:100]!r}, which nobody can answer "
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
