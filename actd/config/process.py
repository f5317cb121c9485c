"""The section `process` of actd.yaml: how the operating system runs the processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from actd.config.section import Section
from actd.ranges import parse_ranges

_ONLINE = Path("/sys/devices/system/cpu/online")


def _usable(cores: list[int]) -> list[int]:
    online = parse_ranges(_ONLINE.read_text())
    if not cores:
        raise ValueError("no core is named; name one, or leave the key out for the default")
    if len(set(cores)) < len(cores):
        raise ValueError(f"{cores} names a core twice")
    missing = sorted(set(cores) - online)
    if missing:
        raise ValueError(
            f"this computer has no core {', '.join(map(str, missing))}; "
            f"choose from {', '.join(map(str, sorted(online)))}"
        )
    return cores


CoreList = Annotated[list[int], AfterValidator(_usable)]
_CORES = "CPU numbers; default: automatic, and `actd status` shows who runs where."
_NICE = "Niceness: the higher, the longer it waits for others."


class TickProcessConfig(Section):
    """The tick process."""

    cores: CoreList | None = Field(None, description=_CORES)
    priority: int = Field(60, ge=2, le=98, description="SCHED_FIFO; its sending thread: one less.")


class InferenceProcessConfig(Section):
    """The inference process."""

    cores: CoreList | None = Field(None, description=_CORES)
    # Niceness, not just order: from Linux 6.6 a process of little weight is one that the
    # unprivileged tick almost never has to wait for.
    nice: int = Field(15, ge=0, le=19, description=_NICE)
    threads: int | None = Field(None, ge=1, description="Default: one per core of its own.")


class OtherProcessConfig(Section):
    """The camera processes, the recorders, or the supervisor."""

    cores: CoreList | None = Field(None, description=_CORES)
    nice: int = Field(0, ge=0, le=19, description=_NICE)


class ProcessConfig(Section):
    """How the operating system runs the processes."""

    realtime: Literal["require", "prefer", "off"] = Field(
        "prefer", description="SCHED_FIFO and locked memory for the tick; require: or do not start."
    )
    tick: TickProcessConfig = TickProcessConfig()
    inference: InferenceProcessConfig = InferenceProcessConfig()
    cameras: OtherProcessConfig = OtherProcessConfig(nice=5)
    recorder: OtherProcessConfig = OtherProcessConfig(nice=10)
    supervisor: OtherProcessConfig = OtherProcessConfig()
