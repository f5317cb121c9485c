"""The one description of a deployment: actd.yaml.

Read with every mistake reported at once, each with file, line, key path and what to do;
paths in it are relative to the file. Raises ConfigError and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from actd.cameras.config import CameraConfig
from actd.errors import ConfigError
from actd.link.sockets import LOOPBACK, Ports
from actd.policy.spec import PolicySpec
from actd.runtime.cores import parse_list

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]
Interpolation = Literal["hold", "linear", "smooth"]

_ONLINE = Path("/sys/devices/system/cpu/online")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JointConfig(_Section):
    """One joint of the action vector, in the policy's unit (rad, deg, 0..1, ...)."""

    position: tuple[float, float] = Field(description="Smallest and largest command.")
    velocity: Positive = Field(description="Largest speed, unit/s.")
    acceleration: Positive = Field(description="Largest change of speed, unit/s^2.")
    jerk: Positive | None = Field(
        None, description="Largest change of acceleration, unit/s^3; default: not limited."
    )
    start_distance: Positive | None = Field(
        None, description="How far the first command may be from the measured pose, unit."
    )
    interpolation: Interpolation | None = Field(
        None, description="Between rows of a chunk, for this joint; default: control.interpolation."
    )

    @model_validator(mode="after")
    def _ordered(self) -> JointConfig:
        low, high = self.position
        if not low < high:
            raise ValueError(f"position: [{low:g}, {high:g}] must rise from smallest to largest")
        return self


class RobotConfig(_Section):
    """The arm, as the policy sees it."""

    joints: dict[str, JointConfig] = Field(
        min_length=1, description="The action vector, in the order the policy was trained with."
    )
    state: list[str] | None = Field(
        None, description="Names of observation.state in order; default: the joints."
    )
    units: str = Field("rad", description="Shown to the controller in hello.")
    start_distance: Positive = Field(
        0.5, description="Default for joints without their own start_distance."
    )

    @model_validator(mode="after")
    def _pose_known(self) -> RobotConfig:
        missing = [name for name in self.joints if name not in self.state_names]
        if missing:
            raise ValueError(
                f"state: joints {', '.join(missing)} are commanded but not measured: "
                "list them under `state` too"
            )
        return self

    @property
    def state_names(self) -> list[str]:
        """Names of observation.state, in order."""
        return self.state if self.state is not None else list(self.joints)


class ControlConfig(_Section):
    """How chunks become commands."""

    rate_hz: float = Field(50.0, ge=10, le=1000, description="Control ticks per second.")
    policy_hz: float | None = Field(
        None, gt=0, description="Rows per second of a chunk: the dataset's fps; default rate_hz."
    )
    mode: Literal["temporal", "queue", "latest"] | None = Field(
        None, description="How chunks are read; default: as the checkpoint was configured."
    )
    temporal_coeff: float | None = Field(
        None, description="temporal: > 0 favours the oldest prediction (ACT used 0.01)."
    )
    n_action_steps: int | None = Field(
        None, ge=1, description="queue: rows used of each chunk; default: the checkpoint's."
    )
    interpolation: Interpolation = Field(
        "linear",
        description="Between rows of a chunk: hold the last, linear, or smooth (C1: steady speed).",
    )
    crossfade_ms: NotNegative = Field(200.0, description="latest: fade from chunk to chunk.")
    actuation_latency_ms: NotNegative = Field(
        0.0,
        description="From sending a command to the arm moving; actions are read this far ahead.",
    )
    ease_in_ms: NotNegative = Field(1000.0, description="From armed to following the plan fully.")


class StalenessConfig(_Section):
    """The oldest each stream may be."""

    state_ms: Positive = 200.0
    camera_ms: Positive = 500.0
    plan_ms: Positive = Field(1000.0, description="Age of the newest plan's observation.")
    controller_ms: NotNegative = Field(
        500.0, description="How long no controller may listen before motion is held."
    )
    frozen_ms: NotNegative = Field(
        1000.0, description="A camera that shows the same pixels this long is stale; 0: never."
    )
    fault_after_ms: Positive = Field(2000.0, description="A longer gap latches FAULT.")


class ObservationConfig(_Section):
    """How frames and robot state are put together for one inference."""

    max_skew_ms: Positive = Field(
        50.0, description="Longest time between the parts of one observation."
    )
    on_skew: Literal["delay", "refuse"] = Field(
        "delay",
        description="delay: wait up to max_delay_ms for parts that fit, then take the nearest; "
        "refuse: never infer from parts that do not fit.",
    )
    max_delay_ms: NotNegative = Field(100.0, description="delay: longest wait.")


class FlightConfig(_Section):
    """The flight recorder: every tick and plan, on disk, bounded in size."""

    enabled: bool = True
    folder: Path | None = Field(
        None, description="Default: $STATE_DIRECTORY/flights, else ~/.local/state/actd/flights."
    )
    max_mb: int = Field(1024, ge=8, description="All runs together; the oldest go first.")


class LinkConfig(_Section):
    """Where the daemon listens."""

    host: str = "127.0.0.1"
    state_port: Port = Ports.state
    actions_port: Port = Ports.actions
    telemetry_port: Port = Ports.telemetry
    control_port: Port = Ports.control
    ttl_ms: Positive = Field(100.0, description="How long the controller may use one action.")

    @model_validator(mode="after")
    def _safe(self) -> LinkConfig:
        if self.host not in LOOPBACK:
            raise ValueError(
                f"host: {self.host!r} is reachable from other computers and the link is not "
                f"encrypted: use 127.0.0.1, and `ssh -L {self.actions_port}:127.0.0.1:"
                f"{self.actions_port}` to reach it from elsewhere"
            )
        if len(set(self._numbers())) < 4:
            raise ValueError("the four ports must differ")
        return self

    def _numbers(self) -> tuple[int, int, int, int]:
        return (self.state_port, self.actions_port, self.telemetry_port, self.control_port)

    @property
    def ports(self) -> Ports:
        """The four ports as the link names them."""
        return Ports(*self._numbers())


def _usable(cores: list[int]) -> list[int]:
    online = parse_list(_ONLINE.read_text())
    if not cores:
        raise ValueError("no core is named: name one, or leave the key out for the default")
    if len(set(cores)) < len(cores):
        raise ValueError(f"{cores} names a core twice")
    missing = sorted(set(cores) - online)
    if missing:
        raise ValueError(
            f"this computer has no core {', '.join(map(str, missing))}: "
            f"choose from {', '.join(map(str, sorted(online)))}"
        )
    return cores


CoreList = Annotated[list[int], AfterValidator(_usable)]
_CORES = "CPU numbers; default: automatic, and `actd status` shows who runs where."


class TickProcessConfig(_Section):
    """The tick process."""

    cores: CoreList | None = Field(None, description=_CORES)
    priority: int = Field(60, ge=2, le=98, description="SCHED_FIFO; its sending thread: one less.")


class InferenceProcessConfig(_Section):
    """The inference process."""

    cores: CoreList | None = Field(None, description=_CORES)
    # Niceness, not just order: from Linux 6.6 a process of little weight is one that the
    # unprivileged tick almost never has to wait for.
    nice: int = Field(15, ge=0, le=19)
    threads: int | None = Field(None, ge=1, description="Default: one per core of its own.")


class OtherProcessConfig(_Section):
    """The camera processes, the recorders, or the supervisor."""

    cores: CoreList | None = Field(None, description=_CORES)
    nice: int = Field(0, ge=0, le=19)


class ProcessConfig(_Section):
    """How the operating system runs the processes."""

    realtime: Literal["require", "prefer", "off"] = Field(
        "prefer", description="SCHED_FIFO and locked memory for the tick; require: or do not start."
    )
    tick: TickProcessConfig = TickProcessConfig()
    inference: InferenceProcessConfig = InferenceProcessConfig()
    cameras: OtherProcessConfig = OtherProcessConfig(nice=5)
    recorder: OtherProcessConfig = OtherProcessConfig(nice=10)
    supervisor: OtherProcessConfig = OtherProcessConfig()


class Config(_Section):
    """A whole deployment."""

    engine: Path = Field(description="An engine folder, written by `actd export`.")
    robot: RobotConfig
    cameras: dict[str, CameraConfig] = Field(
        default_factory=dict, description="Policy camera name -> source, in LeRobot's syntax."
    )
    control: ControlConfig = ControlConfig()
    staleness: StalenessConfig = StalenessConfig()
    observation: ObservationConfig = ObservationConfig()
    flight: FlightConfig = FlightConfig()
    link: LinkConfig = LinkConfig()
    process: ProcessConfig = ProcessConfig()


def load(path: Path) -> Config:
    """Read and check a deployment file. Raises ConfigError with one line per mistake."""
    data = _parse(path)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        lines = [_explain(path, data, item) for item in error.errors()]
        raise ConfigError("\n".join(lines)) from None
    cameras = {name: _anchored(path, camera) for name, camera in config.cameras.items()}
    update: dict[str, Any] = {"engine": _relative_to(path, config.engine), "cameras": cameras}
    if config.flight.folder is not None:
        folder = _relative_to(path, config.flight.folder)
        update["flight"] = config.flight.model_copy(update={"folder": folder})
    return config.model_copy(update=update)


def check_policy(config: Config, spec: PolicySpec, where: str) -> None:
    """Refuse a deployment that does not fit its engine. Raises ConfigError, all at once."""
    problems = list(_mismatches(config, spec))
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems))


def _mismatches(config: Config, spec: PolicySpec) -> Iterator[str]:
    trained = {feature.camera: feature for feature in spec.cameras}
    for name in trained.keys() - config.cameras.keys():
        yield f"cameras.{name}: missing; the policy was trained with {', '.join(trained)}"
    for name in config.cameras.keys() - trained.keys():
        hint = difflib.get_close_matches(name, trained, 1)
        yield (
            f"cameras.{name}: the policy has no such camera (it has {', '.join(trained) or 'none'})"
            + (f": did you mean {hint[0]}?" if hint else ": remove it")
        )
    for name in trained.keys() & config.cameras.keys():
        height, width, _ = trained[name].boundary_shape
        size = _frame_size(config.cameras[name])
        if size is not None and size != (width, height):
            yield (
                f"cameras.{name}: gives {size[0]}x{size[1]}, the policy was trained on "
                f"{width}x{height}: set width and height to that, "
                f"or add resize: [{width}, {height}]"
            )
    joints = len(config.robot.joints)
    if joints != spec.action_dim:
        yield f"robot.joints: {joints} joints listed, the policy commands {spec.action_dim}"
    states = {f.key: f.shape[0] for f in spec.vectors if f.kind == "STATE"}
    for key, size_wanted in states.items():
        if len(config.robot.state_names) != size_wanted:
            yield (
                f"robot.state: {len(config.robot.state_names)} names for {key}, "
                f"the policy takes {size_wanted}"
            )
    steps = config.control.n_action_steps
    if steps is not None and steps > spec.chunk_size:
        yield f"control.n_action_steps: {steps} is more than the chunk's {spec.chunk_size} rows"


def _frame_size(camera: CameraConfig) -> tuple[int, int] | None:
    """(width, height) of the frames this camera will give, if the file says so."""
    if camera.resize is not None:
        return camera.resize
    if camera.width is None or camera.height is None:
        return None
    return camera.width, camera.height


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file: write one with `actd init CHECKPOINT`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        data = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{at}: not YAML: {error.problem}") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a map with engine, robot and cameras")
    return data


def _relative_to(path: Path, target: Path) -> Path:
    return target if target.is_absolute() else path.parent / target.expanduser()


def _anchored(path: Path, camera: CameraConfig) -> CameraConfig:
    if camera.kind != "file":
        return camera
    source = _relative_to(path, Path(camera.path))
    return camera.model_copy(update={"index_or_path": str(source)})


def _explain(path: Path, data: Any, item: Any) -> str:
    # pydantic adds the names of union members to the location; only real keys help a reader.
    keys = list(_real_keys(data, item["loc"]))
    line, column = _position(data, keys)
    key = ".".join(str(k) for k in keys) or "(whole file)"
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key" + _did_you_mean(keys)
    elif item["type"] == "missing":
        key = ".".join([*map(str, keys), str(item["loc"][-1])])
        message = "missing"
    elif "input" in item and isinstance(item["input"], (str, int, float, bool)):
        message = f"{message[0].lower()}{message[1:]}, found {item['input']!r}"
    return f"{path}:{line}:{column} {key}: {message}"


def _real_keys(data: Any, location: tuple[Any, ...]) -> Iterator[Any]:
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            continue
        yield part


def _position(data: Any, keys: list[Any]) -> tuple[int, int]:
    line, column = 1, 1
    for key in keys:
        marks = getattr(data, "lc", None)
        if marks is not None and key in (marks.data or {}):
            mark = marks.data[key]
            line, column = mark[0] + 1, mark[1] + 1
        data = data[key]
    return line, column


def _did_you_mean(keys: list[Any]) -> str:
    known = _known_keys(keys[:-1])
    close = difflib.get_close_matches(str(keys[-1]), known, 1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(sorted(known))})"


def _known_keys(parents: list[Any]) -> list[str]:
    """Field names of the section at `parents`; a map's values are its section."""
    model: type[BaseModel] | None = Config
    for key in parents:
        if model is None:
            return []
        if key in model.model_fields:
            model = _SECTIONS.get((model, str(key)), model)
    return list(model.model_fields) if model else []


_SECTIONS: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
    (Config, "robot"): RobotConfig,
    (Config, "cameras"): CameraConfig,
    (Config, "control"): ControlConfig,
    (Config, "staleness"): StalenessConfig,
    (Config, "observation"): ObservationConfig,
    (Config, "flight"): FlightConfig,
    (Config, "link"): LinkConfig,
    (Config, "process"): ProcessConfig,
    (RobotConfig, "joints"): JointConfig,
    (ProcessConfig, "tick"): TickProcessConfig,
    (ProcessConfig, "inference"): InferenceProcessConfig,
    (ProcessConfig, "cameras"): OtherProcessConfig,
    (ProcessConfig, "recorder"): OtherProcessConfig,
    (ProcessConfig, "supervisor"): OtherProcessConfig,
}
