"""The sections of actd.yaml: every key, its default and what it means.

What a value may be is said here, in words that a user reads as an error. pydantic raises
ValidationError; `actd.config` turns it into lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SerializeAsAny, model_validator

from actd.cameras.config import CameraConfig
from actd.config.process import (
    InferenceProcessConfig,
    OtherProcessConfig,
    ProcessConfig,
    TickProcessConfig,
)
from actd.config.robot import Joint, JointConfig, RobotConfig
from actd.config.section import NotNegative, Positive, Section
from actd.control.interpolation import Interpolation
from actd.errors import ConfigError
from actd.link.sockets import LOOPBACK, Ports

NO_RATE = (
    "missing, and the engine does not know it; write the fps of the dataset that the policy was "
    "trained on (its meta/info.json says it)"
)

Port = Annotated[int, Field(ge=1, le=65535)]


class ControlConfig(Section):
    """How chunks become commands."""

    rate_hz: float = Field(50.0, ge=10, le=1000, description="Control ticks per second.")
    policy_hz: Positive | None = Field(
        None,
        description="Rows per second of a chunk: the fps of the training dataset; default: what "
        "the engine knows. It may differ from rate_hz: rows are interpolated.",
    )
    mode: Literal["temporal", "queue", "latest"] | None = Field(
        None, description="How chunks are read; default: as the checkpoint was configured."
    )
    temporal_coeff: float | None = Field(
        None,
        description="temporal: > 0 favours the oldest prediction (ACT used 0.01), < 0 the newest; "
        "default: the checkpoint's, else -0.1.",
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
        description="From sending a command to the arm moving; actions are read this far ahead. "
        "Right only where the dataset's action is a measured future position (UMI). Teleoperated "
        "data (ALOHA, LeRobot: action = the leader's command) have the lag in them: leave it 0.",
    )
    ease_in_ms: NotNegative = Field(1000.0, description="From armed to following the chunk fully.")
    follow_after_ms: Positive = Field(
        200.0,
        description="A joint that is further than its follow_distance from its command for this "
        "long does not follow: FAULT.",
    )


class StalenessConfig(Section):
    """The oldest each stream may be."""

    state_ms: Positive = Field(200.0, description="The robot's measured state.")
    camera_ms: Positive = Field(300.0, description="Each camera's newest image.")
    chunk_ms: Positive | None = Field(
        None,
        description="Age of the newest chunk's observation; default: from the measured inference "
        "time, 300 to 1000 ms.",
    )
    controller_ms: Positive | None = Field(
        None,
        description="The newest action that the robot says it acted upon; default: link.ttl_ms, "
        "after which it stops by itself, and two control periods.",
    )
    frozen_ms: NotNegative = Field(
        500.0, description="A camera that shows the same pixels this long is stale; 0: never."
    )
    fault_after_ms: Positive = Field(2000.0, description="A longer gap latches FAULT.")


class ObservationConfig(Section):
    """How frames and robot state are put together for one inference."""

    max_skew_ms: Positive = Field(
        50.0, description="Longest time between the parts of one observation."
    )
    on_skew: Literal["delay", "refuse"] = Field(
        "refuse",
        description="refuse: never infer from parts that do not fit. delay: wait up to "
        "max_delay_ms for parts that fit, then take the nearest.",
    )
    max_delay_ms: NotNegative = Field(100.0, description="delay: longest wait.")
    image_age_ms: NotNegative = Field(
        0.0,
        description="How old the newest image was, on average, when a row of the training data "
        "was recorded beside it: the camera's latency plus half a frame. The first row of a chunk "
        "is for this long after the image. See latency_ms of each camera, which is today's.",
    )


class PosesConfig(Section):
    """Places to move to: joint -> value, in the joint's unit; `actd pose save` writes them.

    A gripper that is left out goes on holding what it holds; a velocity joint has no place.
    """

    start: dict[str, float] | None = Field(
        None,
        description="Where `actd arm --from-here` moves before it arms; default: the first row of "
        "the chunk at that moment.",
    )
    park: dict[str, float] | None = Field(None, description="Where `actd park` moves.")


class FlightConfig(Section):
    """The flight recorder: every tick and chunk, on disk, bounded in size."""

    enabled: bool = Field(True, description="Whether anything is recorded.")
    folder: Path | None = Field(
        None, description="Default: $STATE_DIRECTORY/flights, else ~/.local/state/actd/flights."
    )
    max_mb: int = Field(1024, ge=8, description="All runs together; the oldest go first.")


class KeepConfig(Section):
    """Pictures beside the flight log: the last seconds, saved by `actd keep` and every FAULT."""

    enabled: bool = Field(True, description="Whether pictures are kept.")
    seconds: float = Field(30.0, ge=1, le=600, description="How much is there to be saved.")
    fps: float = Field(
        3.0,
        ge=0.1,
        le=60,
        description="Pictures a second of each camera; 10 cost inference on two cores a tenth.",
    )
    max_mb: int = Field(256, ge=8, description="Pictures of all runs; the oldest go first.")


class DashboardConfig(Section):
    """The operator's page: http://127.0.0.1:9875, on this computer only."""

    enabled: bool = Field(False, description="Whether there is one.")
    port: Port = Field(9875, description="Its port.")
    arm: bool = Field(
        True, description="Whether the page may arm and reset; it may always hold and stop."
    )


class LinkConfig(Section):
    """Where the daemon listens."""

    host: str = Field("127.0.0.1", description="An address of this computer's loopback only.")
    state_port: Port = Field(Ports.state, description="Where the robot sends its measured state.")
    actions_port: Port = Field(Ports.actions, description="Where the robot hears what to do.")
    status_port: Port = Field(Ports.status, description="Where anyone asks how the daemon is.")
    control_port: Port = Field(Ports.control, description="Where operators arm, hold and stop.")
    ttl_ms: Positive = Field(100.0, description="How long the robot may use one action.")

    @model_validator(mode="after")
    def _safe(self) -> LinkConfig:
        if self.host not in LOOPBACK:
            raise ValueError(
                f"host: {self.host!r} is reachable from other computers and the link is not "
                f"encrypted; use 127.0.0.1, and `ssh -L {self.actions_port}:127.0.0.1:"
                f"{self.actions_port}` to reach it from elsewhere"
            )
        if len(set(self._numbers())) < 4:
            raise ValueError("the four ports must differ")
        return self

    def _numbers(self) -> tuple[int, int, int, int]:
        return (self.state_port, self.actions_port, self.status_port, self.control_port)

    @property
    def ports(self) -> Ports:
        """The four ports as the link names them."""
        return Ports(*self._numbers())


class Config(Section):
    """A whole deployment."""

    engine: Path = Field(description="An engine folder, written by `actd export`.")
    robot: RobotConfig
    cameras: dict[str, SerializeAsAny[CameraConfig]] = Field(
        default_factory=dict, description="Policy camera name -> source, in LeRobot's syntax."
    )
    control: ControlConfig = ControlConfig()
    staleness: StalenessConfig = StalenessConfig()
    observation: ObservationConfig = ObservationConfig()
    poses: PosesConfig = PosesConfig()
    flight: FlightConfig = FlightConfig()
    keep: KeepConfig = KeepConfig()
    link: LinkConfig = LinkConfig()
    dashboard: DashboardConfig = DashboardConfig()
    process: ProcessConfig = ProcessConfig()

    def policy_hz(self, trained_hz: float | None) -> float:
        """Rows of a chunk per second. Raises ConfigError when neither file nor engine knows."""
        known = self.control.policy_hz or trained_hz
        if known is None:
            raise ConfigError(f"control.policy_hz: {NO_RATE}")
        return known

    @property
    def controller_ms(self) -> float:
        """How old the newest action may be that the robot says it acted upon."""
        given = self.staleness.controller_ms
        return self.link.ttl_ms + 2e3 / self.control.rate_hz if given is None else given

    @property
    def joints(self) -> tuple[Joint, ...]:
        """Every joint of the action vector with its defaults filled in, in order."""
        return tuple(self._joint(name, joint) for name, joint in self.robot.joints.items())

    def _joint(self, name: str, joint: JointConfig) -> Joint:
        lower, upper = joint.position or (None, None)
        latency = joint.actuation_latency_ms
        return Joint(
            name=name,
            kind=joint.kind,
            lower=lower,
            upper=upper,
            velocity=joint.velocity,
            # A speed may change at once into another change of speed: nothing bounds that.
            acceleration=joint.acceleration or joint.velocity,
            start_distance=self.robot.start_distance_of(joint),
            follow_distance=self.robot.follow_distance_of(joint),
            interpolation=joint.interpolation or self.control.interpolation,
            actuation_latency_ms=self.control.actuation_latency_ms if latency is None else latency,
            turn=self.robot.turn_of(joint),
        )


SECTIONS: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
    (Config, "robot"): RobotConfig,
    (Config, "cameras"): CameraConfig,
    (Config, "control"): ControlConfig,
    (Config, "staleness"): StalenessConfig,
    (Config, "observation"): ObservationConfig,
    (Config, "poses"): PosesConfig,
    (Config, "flight"): FlightConfig,
    (Config, "keep"): KeepConfig,
    (Config, "link"): LinkConfig,
    (Config, "dashboard"): DashboardConfig,
    (Config, "process"): ProcessConfig,
    (RobotConfig, "joints"): JointConfig,
    (ProcessConfig, "tick"): TickProcessConfig,
    (ProcessConfig, "inference"): InferenceProcessConfig,
    (ProcessConfig, "cameras"): OtherProcessConfig,
    (ProcessConfig, "recorder"): OtherProcessConfig,
    (ProcessConfig, "supervisor"): OtherProcessConfig,
}
"""Which section a key of a section holds: what may stand there, for suggestions."""
