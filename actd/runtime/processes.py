"""The daemon's children: what each is told, and which deaths end motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actd.cameras.likeness import ImageMoments
from actd.codec import encode
from actd.config import Config
from actd.config.origins import values
from actd.config.reading import parse
from actd.engine.manifest import Manifest
from actd.errors import ConfigError
from actd.flightlog.reader import default_flights
from actd.policy.spec import PolicySpec
from actd.runtime import settings
from actd.runtime.camera import CameraSettings
from actd.runtime.channels import Channels, Shapes
from actd.runtime.clock import now_ns
from actd.runtime.control_loop import ControlLoopSettings
from actd.runtime.cores import Share
from actd.runtime.flight_recorder import FlightRecorderSettings
from actd.runtime.inference import InferenceSettings
from actd.runtime.picture_recorder import PictureRecorderSettings
from actd.runtime.process import ChildProcess
from actd.runtime.run_info import new_run

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Processes:
    """One child per process; `cameras` by name, `flight` None where nothing is recorded,
    `pictures` None where none are, `dashboard` None where no page is served.
    """

    tick: ChildProcess
    inference: ChildProcess
    cameras: Mapping[str, ChildProcess]
    flight: ChildProcess | None
    pictures: ChildProcess | None
    dashboard: ChildProcess | None

    @property
    def others(self) -> tuple[ChildProcess, ...]:
        """Everyone but the tick, which ends first and alone."""
        return (self.inference, *self.cameras.values(), *self.watchers)

    @property
    def watchers(self) -> tuple[ChildProcess, ...]:
        """Those that motion does not need."""
        children = (self.flight, self.pictures, self.dashboard)
        return tuple([child for child in children if child is not None])


def shapes_of(manifest: Manifest) -> Shapes:
    """The record sizes that a policy needs."""
    spec = manifest.spec
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
    path: Path,
) -> Processes:
    """All children of one daemon, not yet started. `boot` names this run of it, `path` is its
    deployment file.
    """

    def disengage() -> None:
        """A process died: motion ends here, and its restart must not bring it back."""
        channels.faults.write((now_ns(),))

    spec = manifest.spec
    tick = settings.tick_settings(config, shapes.env_dim, share, boot)
    control = settings.control_settings(config, spec)
    trained = {
        camera.camera: ImageMoments.of(spec.statistics.get(camera.key, {}))
        for camera in spec.cameras
    }
    run = new_run(config, manifest, shapes, tick, control)
    folder = (config.flight.folder or default_flights()) / run.name
    return Processes(
        tick=ChildProcess(
            "tick",
            ControlLoopSettings(shapes=shapes, fds=channels.fds, tick=tick, control=control),
            restart=False,
        ),
        inference=ChildProcess(
            "inference",
            InferenceSettings(
                shapes=shapes,
                fds=channels.fds,
                placement=settings.placement(config, share, "inference"),
                engine=config.engine,
                threads=share.threads,
                joints=control.joints,
                state_names=tick.state_names,
                rules=settings.observation_rules(config),
            ),
            restart=True,
            on_death=disengage,
        ),
        cameras={
            name: ChildProcess(
                f"camera {name}",
                CameraSettings(
                    shapes=shapes,
                    fds={key: channels.fds[key] for key in (f"frame:{name}", "wakeup")},
                    placement=settings.placement(config, share, "cameras"),
                    name=name,
                    config=config.cameras[name],
                    trained=trained.get(name),
                ),
                restart=True,
                on_death=disengage,
            )
            for name in shapes.cameras
        },
        flight=ChildProcess(
            "flight recorder",
            FlightRecorderSettings(
                shapes=shapes,
                fds=channels.fds,
                placement=settings.placement(config, share, "recorder"),
                run=folder,
                run_info=encode(run),
                max_bytes=config.flight.max_mb * _MIB,
                period_ns=control.period_ns,
            ),
            restart=True,
        )
        if config.flight.enabled
        else None,
        pictures=ChildProcess(
            "picture recorder",
            PictureRecorderSettings(
                shapes=shapes,
                fds=channels.fds,
                placement=settings.placement(config, share, "recorder"),
                run=folder,
                last_ns=round(config.keep.seconds * 1e9),
                fps=config.keep.fps,
                max_bytes=config.keep.max_mb * _MIB,
            ),
            restart=True,
        )
        if config.flight.enabled and config.keep.enabled and shapes.cameras
        else None,
        dashboard=_dashboard(
            config,
            spec,
            shapes,
            channels,
            share,
            path=path,
            run=folder if config.flight.enabled else None,
        ),
    )


def _dashboard(
    config: Config,
    spec: PolicySpec,
    shapes: Shapes,
    channels: Channels,
    share: Share,
    *,
    path: Path,
    run: Path | None,
) -> ChildProcess | None:
    if not config.dashboard.enabled:
        return None
    # Its module loads a web server, which the supervisor does not need.
    from actd.runtime.dashboard import DashboardSettings

    joints = config.joints
    return ChildProcess(
        "dashboard",
        DashboardSettings(
            shapes=shapes,
            fds=channels.fds,
            placement=settings.placement(config, share, "recorder"),
            robot=config.robot.name,
            host=config.link.host,
            port=config.dashboard.port,
            ports=config.link.ports,
            may_arm=config.dashboard.arm,
            rate_hz=config.control.rate_hz,
            policy_hz=config.policy_hz(spec.trained_hz),
            joints=tuple([joint.name for joint in joints]),
            lower=tuple([_finite(joint.lower) for joint in joints]),
            upper=tuple([_finite(joint.upper) for joint in joints]),
            values=tuple(values(config, _parsed(path))),
            run=run,
        ),
        restart=True,
    )


def _parsed(path: Path) -> Any:
    """The file's map with its lines, None where it cannot be read a second time, as a pipe."""
    try:
        return parse(path)
    except ConfigError:
        return None


def _finite(limit: float | None) -> float:
    """A joint without ends is drawn as a whole turn."""
    return 0.0 if limit is None else limit
