"""The daemon's children: what each is told, and which deaths end motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actd.config import Config
from actd.engine.manifest import Manifest
from actd.runtime import settings
from actd.runtime.channels import Channels, Shapes
from actd.runtime.clock import now_ns
from actd.runtime.cores import Share
from actd.runtime.process import ChildProcess
from actd.runtime.run_info import flight_job


@dataclass(frozen=True, slots=True)
class Processes:
    """One child per process; `cameras` by name, `flight` None where nothing is recorded."""

    tick: ChildProcess
    inference: ChildProcess
    cameras: Mapping[str, ChildProcess]
    flight: ChildProcess | None

    @property
    def others(self) -> tuple[ChildProcess, ...]:
        """Everyone but the tick, which ends first and alone."""
        return (self.inference, *self.cameras.values(), *([self.flight] if self.flight else []))


def shapes_of(manifest: Manifest) -> Shapes:
    """The record sizes that a policy needs."""
    spec = manifest.policy_spec()
    return Shapes(
        cameras={f.camera: (f.boundary_shape[0], f.boundary_shape[1]) for f in spec.cameras},
        chunk_size=spec.chunk_size,
        action_dim=spec.action_dim,
        state_dim=settings.dims(spec, "STATE"),
        env_dim=settings.dims(spec, "ENV"),
    )


def make_processes(
    config: Config,
    manifest: Manifest,
    shapes: Shapes,
    channels: Channels,
    share: Share,
    *,
    boot: str,
) -> Processes:
    """All children of one daemon, not yet started. `boot` names this run of it."""

    def disengage() -> None:
        """A process died: motion ends here, and its restart must not bring it back."""
        channels.faults.write((now_ns(),))

    rings = {"shapes": asdict(shapes), "fds": channels.fds}
    spec = manifest.policy_spec()
    tick = {
        "tick": settings.tick_job(config, spec, share, boot),
        "control": settings.control_job(config, spec),
    }
    inference = settings.inference_job(config, share.threads)
    inference["placement"] = settings.placement(config, share, "inference")
    flight = flight_job(config, manifest, shapes, share, boot=boot)
    flight["placement"] = settings.placement(config, share, "recorder")
    return Processes(
        tick=ChildProcess("tick", "control_loop", tick | rings, restart=False),
        inference=ChildProcess(
            "inference", "inference", inference | rings, restart=True, on_death=disengage
        ),
        cameras={
            name: ChildProcess(
                f"camera {name}",
                "camera",
                _camera_job(config, name, size, channels, share),
                restart=True,
                on_death=disengage,
            )
            for name, size in shapes.cameras.items()
        },
        flight=ChildProcess("flight recorder", "flight_recorder", flight | rings, restart=True)
        if config.flight.enabled
        else None,
    )


def _camera_job(
    config: Config, name: str, size: tuple[int, int], channels: Channels, share: Share
) -> dict[str, Any]:
    stream = f"frame:{name}"
    return {
        "camera": name,
        "placement": settings.placement(config, share, "cameras"),
        "size": size,
        "config": config.cameras[name].model_dump(),
        "fds": {key: channels.fds[key] for key in (stream, "wakeup")},
    }
