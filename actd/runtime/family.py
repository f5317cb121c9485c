"""The daemon's children: what each is told, and which deaths end motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actd.config import Config
from actd.control.state import Event
from actd.engine.manifest import Manifest
from actd.runtime import settings
from actd.runtime.blocks import Blocks, Shapes
from actd.runtime.children import Child


@dataclass(frozen=True, slots=True)
class Family:
    """One child per process; `cameras` by name."""

    tick: Child
    inference: Child
    cameras: Mapping[str, Child]

    @property
    def others(self) -> tuple[Child, ...]:
        """Everyone but the tick, which ends first and alone."""
        return (self.inference, *self.cameras.values())


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


def make_family(
    config: Config,
    manifest: Manifest,
    shapes: Shapes,
    blocks: Blocks,
    *,
    tick_cores: list[int],
    threads: int,
) -> Family:
    """All children of one daemon, not yet started."""

    def disengage() -> None:
        """A process died: motion ends here, and its restart must not bring it back."""
        blocks.commands.write((str(Event.FAULT.value).encode(),))

    rings = {"shapes": asdict(shapes), "fds": blocks.fds}
    spec = manifest.policy_spec()
    tick = {
        "tick": settings.tick_job(config, spec, tick_cores),
        "control": settings.control_job(config, spec),
    }
    inference = settings.inference_job(config, threads)
    return Family(
        tick=Child("tick", "tick", tick | rings, restart=False),
        inference=Child(
            "inference", "inference", inference | rings, restart=True, on_death=disengage
        ),
        cameras={
            name: Child(
                f"camera {name}",
                "camera",
                _camera_job(config, name, size, blocks),
                restart=True,
                on_death=disengage,
            )
            for name, size in shapes.cameras.items()
        },
    )


def _camera_job(config: Config, name: str, size: tuple[int, int], blocks: Blocks) -> dict[str, Any]:
    stream = f"frame:{name}"
    return {
        "camera": name,
        "nice": config.process.camera_nice,
        "size": size,
        "config": config.cameras[name].model_dump(),
        "fds": {stream: blocks.fds[stream]},
    }
