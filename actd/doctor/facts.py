"""Everything that the checks judge, as plain data; who reads each is said beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actd.holders import Holder
from actd.runtime.realtime import Wish
from actd.timing import Percentiles

if TYPE_CHECKING:
    from actd.cameras.config import CameraConfig
    from actd.config import Config
    from actd.engine.manifest import Manifest
    from actd.engine.verify import Parity


@dataclass(frozen=True, slots=True)
class IdleState:
    """A sleep of a core: how long it takes to wake from it, and whether it may be entered."""

    name: str
    exit_us: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class Zone:
    """A thermometer and the temperature at which the kernel slows the computer, None if none."""

    name: str
    celsius: float
    limit: float | None


@dataclass(frozen=True, slots=True)
class Computer:
    """This computer as /proc, /sys and the clock tell it (`actd.doctor.computer`).

    None: not told here. `governors`: governor -> cores that have it. `can_perform`, `can_profile`:
    whether `performance` is offered as a governor, as a profile. `throttled`: how often cores
    were slowed for heat since boot. `firmware`: a Raspberry Pi's own flags. `power_mode`: a
    Jetson's, by name, with the number of its fastest.
    """

    governors: Mapping[str, int]
    can_perform: bool
    idle_states: tuple[IdleState, ...]
    zones: tuple[Zone, ...]
    throttled: int | None
    firmware: int | None
    on_battery: bool
    profile: str | None
    can_profile: bool
    power_mode: str | None
    fastest_mode: int | None
    swap_mb: float
    swap_used_mb: float
    swappiness: int | None
    available_mb: float | None
    rt_runtime_us: int | None
    clocksource: str | None
    clock_synchronized: bool | None


@dataclass(frozen=True, slots=True)
class Deployment:
    """actd.yaml and the manifest of its engine (`actd.doctor.deployment`).

    `config` and `manifest` are None where they cannot be read or do not fit; `errors` say why.
    """

    path: str
    config: Config | None = None
    manifest: Manifest | None = None
    errors: tuple[str, ...] = ()
    engine_error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineHere:
    """The engine on this computer (`actd.doctor.engine`).

    `missing`: what its runtime lacks here. `parity`: of its reference observations, None where
    it could not be computed: `error` says why. `excess`: beyond the tolerance, "" within it.
    """

    missing: tuple[str, ...]
    version_note: str | None
    parity: Parity | None = None
    excess: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointHere:
    """A checkpoint that was named; `same` as the one that the engine was built from, None without
    an engine.
    """

    path: str
    error: str = ""
    same: bool | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU as nvidia-smi tells it."""

    name: str
    driver: str
    celsius: float | None


@dataclass(frozen=True, slots=True)
class UsbPort:
    """Where a device is plugged in: its bus, how many Mbit/s that carries, the device itself."""

    bus: str
    device: str
    mbit_s: float


@dataclass(frozen=True, slots=True)
class Look:
    """What came of a camera while it was looked at.

    `brightness`: the mean of all images, 0 to 255. `unchanged_ms`: how long the same image.
    """

    frames: int
    damaged: int
    fps: float
    brightness: float
    grey: bool
    unchanged_ms: float


@dataclass(frozen=True, slots=True)
class CameraHere:
    """One camera of the deployment (`actd.doctor.cameras`). `look` None: `error` says why."""

    name: str
    config: CameraConfig
    holders: tuple[Holder, ...] = ()
    usb: UsbPort | None = None
    look: Look | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Loops:
    """Two loops at the control rate, side by side (`actd.doctor.lateness`).

    `tick` has what the daemon's tick asks for, which `granted` says, `bare` asks for nothing.
    Lateness is from due to awake. `inferring`: the engine computed meanwhile, as it will.
    `stolen_ms`: time that the hypervisor gave to others, of all cores.
    """

    period_ms: float
    seconds: float
    wish: Wish
    tick: Percentiles
    missed: int
    bare: Percentiles
    bare_missed: int
    granted: Mapping[str, str]
    inferring: bool
    stolen_ms: float


@dataclass(frozen=True, slots=True)
class PortHere:
    """One of the daemon's ports; `listening`: somebody has it, `holder`: who, where that shows."""

    name: str
    number: int
    listening: bool
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """Where flights go. `needed_mb`: what they may still grow by. `error`: not to be written."""

    folder: str
    free_mb: float
    needed_mb: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Controller:
    """What came from the robot's controller in `seconds`, judged as the daemon judges it.

    `rejection`: why the newest message that was refused was. `unlike`: values that training
    never saw, a sentence each; None where the engine does not know what it saw.
    """

    seconds: float
    messages: int
    rejected: int
    rejection: str
    unlike: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon that answers at the deployment's ports: its `hello` and its `status`."""

    robot: str
    mode: str
    state_age_ms: float | None
    rejected: int
    rejection: str
    lateness_us: Mapping[str, float]
    period_ms: float
    missed: int
    cameras: Mapping[str, str]
    engine: str
    flight: str
    granted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. None: there is nothing of the kind, or something before it went wrong.

    `ticks`: the tick processes of daemons, on whatever ports; where there are any, nothing is
    measured. `daemon` is the one that answers at the deployment's ports. `loops_error`: why the
    loops could not be timed.
    """

    computer: Computer
    deployment: Deployment | None = None
    engine: EngineHere | None = None
    checkpoint: CheckpointHere | None = None
    gpu: Gpu | None = None
    cameras: tuple[CameraHere, ...] = ()
    loops: Loops | None = None
    ports: tuple[PortHere, ...] = ()
    disk: Disk | None = None
    daemon: Daemon | None = None
    controller: Controller | None = None
    ticks: tuple[Holder, ...] = ()
    loops_error: str = ""
    user: str = "root"

    @property
    def unmeasured(self) -> str:
        """Why nothing is measured here, "" where it is."""
        if not self.ticks:
            return ""
        who = ", ".join(str(tick.pid) for tick in self.ticks)
        return f"a daemon runs here (pid {who}), whose arm a measurement would disturb"
