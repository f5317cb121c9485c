"""Recording on request: starts and ends the dataset recorder, and says how it stands.

One recording at a time, one child process each. A recorder that fails ends its recording
and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from actd.config import Config
from actd.datasets.paths import ACTION, ENVIRONMENT, INTERVENTION, STATE
from actd.datasets.schema import Form
from actd.engine.manifest import Manifest
from actd.errors import RecordingError
from actd.runtime import settings
from actd.runtime.channels import Channels, Shapes
from actd.runtime.cores import Share
from actd.runtime.dataset_recorder import DatasetRecorderSettings
from actd.runtime.episodes import Episodes
from actd.runtime.process import ChildProcess
from actd.runtime.scored_recorder import ScoredRecorderSettings

_SAVE_S = 10.0
_LONGEST_S = 1_000_000
_SHOWN = ("state", "why", "notes", "frames", "late", "repeated", "backlog", "episode", "episodes")


class Recording:
    """The recordings of one daemon, one after the other."""

    def __init__(  # noqa: PLR0917
        self,
        config: Config,
        manifest: Manifest,
        shapes: Shapes,
        channels: Channels,
        share: Share,
        episodes: Episodes,
    ) -> None:
        spec = manifest.spec
        self._episodes = episodes
        self._rate_hz = config.control.rate_hz
        self._policy_hz = config.policy_hz(spec.trained_hz)
        self._shapes, self._fds = shapes, channels.fds
        self._placement = settings.placement(config, share, "recorder")
        self._cameras = {feature.camera: feature.key for feature in spec.cameras}
        self._vectors = {STATE: tuple(config.robot.state_names), ACTION: tuple(config.robot.joints)}
        if shapes.env_dim:
            self._vectors[ENVIRONMENT] = tuple(map(str, range(shapes.env_dim)))
        self._request: dict[str, Any] = {}
        self._child: ChildProcess | None = None
        self._running: asyncio.Task[Any] | None = None
        self._ending: asyncio.Task[Any] | None = None

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Serve `record`: `do` is start, stop or status. Raises RecordingError to refuse."""
        actions: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "start": self._start,
            "stop": self._stop,
            "status": lambda _: None,
        }
        do = str(request.get("do", "status"))
        if do not in actions:
            raise RecordingError(f"do: found {do!r}: known are {', '.join(actions)}")
        actions[do](request)
        return {"recording": self.status()}

    def status(self) -> dict[str, Any]:
        """`state` is off, starting, waiting, recording, saving, saved, empty or failed."""
        if self._child is None:
            return {"state": "off"}
        condition = self._child.condition
        shown = self._request | {key: condition[key] for key in _SHOWN if key in condition}
        # Until it is gone it holds the dataset, and the next recording must wait.
        return shown | ({"state": "saving"} if self._is_running() and _is_over(shown) else {})

    @property
    def scored_failure(self) -> str:
        """Why scored episodes, of which a dataset was to be made, are not in it; "": they are."""
        recording = self.status()
        failed = recording["state"] == "failed" and recording.get("scored")
        return str(recording.get("why")) if failed else ""

    def check_ready_for_episode(self) -> None:
        """Raise RecordingError where the next scored episode would begin before its recorder."""
        recording = self.status()
        if self._is_running() and recording.get("scored") and recording["state"] != "waiting":
            raise RecordingError(
                f"the recording to {recording['path']} is {recording['state']}; try again in a "
                "moment"
            )

    async def end(self) -> None:
        """End a recording that is going on; its episode is saved, unless it waits for a score."""
        if self._child is not None:
            await self._child.end(_SAVE_S)

    def _start(self, request: Mapping[str, Any]) -> None:
        if self._is_running():
            raise RecordingError(
                f"already recording to {self._request['path']}; end that with `actd record --stop`"
            )
        fps = self._fps(request.get("fps"))
        frames_max = _frames(request.get("seconds"), fps)
        path, task = _folder(request), _text(request, "task")
        scored = request.get("scored") is True
        if scored:
            self._episodes.check_none_open()
            if frames_max is not None:
                raise RecordingError("seconds: an episode ends with its score; leave it out")
        self._request = {"path": str(path), "task": task, "fps": fps, "scored": scored}
        sizes = {key: self._shapes.cameras[name] for name, key in self._cameras.items()}
        recorder = (ScoredRecorderSettings if scored else DatasetRecorderSettings)(
            shapes=self._shapes,
            fds=self._fds,
            placement=self._placement,
            path=path,
            task=task,
            form=Form(fps, self._vectors, sizes, scored=scored, flags=(INTERVENTION,)),
            frames_max=frames_max,
            cameras=self._cameras,
            period_ns=round(1e9 / self._rate_hz),
        )
        self._child = ChildProcess("dataset recorder", recorder, restart=False, may_finish=True)
        self._running = asyncio.create_task(self._child.run())

    def _stop(self, _: Mapping[str, Any]) -> None:
        if self._child is None or not self._is_running():
            raise RecordingError("nothing is being recorded")
        if self._request["scored"]:
            self._episodes.check_none_open()
        # Saving takes a moment, and this socket is the one that STOP comes through.
        self._ending = asyncio.create_task(self._child.end(_SAVE_S))

    def _is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    def _fps(self, asked: object) -> int:
        fps = self._policy_hz if asked is None else asked
        if (
            not isinstance(fps, (int, float))
            or not 1 <= fps <= self._rate_hz
            or not float(fps).is_integer()
        ):
            raise RecordingError(
                f"fps: found {fps!r}: a dataset needs a whole number from 1 to the control rate, "
                f"{self._rate_hz:g}; give --fps"
            )
        return round(fps)


def _is_over(recording: Mapping[str, Any]) -> bool:
    return recording["state"] in ("saved", "empty")


def _frames(seconds: object, fps: int) -> int | None:
    if seconds is None:
        return None
    if not isinstance(seconds, (int, float)) or not 0 < seconds < _LONGEST_S:
        raise RecordingError(
            f"seconds: found {seconds!r}: expected a number above 0 and below {_LONGEST_S}"
        )
    return max(1, round(seconds * fps))


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RecordingError(f"{key}: found {value!r}, expected a text; say what the robot does")
    return value.strip()


def _folder(request: Mapping[str, Any]) -> Path:
    value = request.get("path")
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise RecordingError(f"path: found {value!r}, expected an absolute path on this computer")
    return Path(value)
