"""The sections of actd.yaml: every key, its default and what it means.

What a value may be is said here, in words that a user reads as an error. pydantic raises
ValidationError; `actd.config` turns it into lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from actd.cameras.config import CameraConfig
from actd.link.sockets import LOOPBACK, Ports
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


SECTIONS: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
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
"""Which section a key of a section holds: what may stand there, for suggestions."""
