"""What the daemon says of itself: hello, status and the service manager's one line.

Reads the rings and the children's conditions; decides nothing. What the tick process has to
say in words goes to the log from here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from actd import __version__
from actd.config import Config
from actd.control.staleness import is_frozen
from actd.engine.load import version_note
from actd.engine.manifest import Manifest
from actd.link import messages
from actd.mode import Mode
from actd.runtime import events, settings
from actd.runtime.channels import Channels, notice_text
from actd.runtime.clock import now_ns
from actd.runtime.event_log import say
from actd.runtime.joint_likeness import JointLikeness
from actd.runtime.loop_timing import Cadence
from actd.runtime.mode_events import ModeEvent, ModeEvents
from actd.runtime.process import describe
from actd.runtime.processes import Processes
from actd.runtime.realtime import Outcome

_SILENT_NS = 1_000_000_000
_ENCODE_NS = 900_000_000
# Messages that are refused again after this long are another outage.
_SAID_NS = 60_000_000_000
_WORKING = {"running", "waiting", "skewed", "refusing"}
_WORD = re.compile(r"[^\s,;:]+")


class Telemetry:
    """Live statistics of one daemon. `ready` is set by the supervisor.

    `entered` is called with every new mode, the number of its first tick and when that was due.
    """

    def __init__(
        self,
        config: Config,
        manifest: Manifest,
        channels: Channels,
        processes: Processes,
        settled: Outcome,
        *,
        entered: Callable[[Mode, int, int], None],
    ) -> None:
        self._settled = settled
        self._entered = entered
        self._config = config
        self._manifest = manifest
        self._channels = channels
        self._processes = processes
        self._cadence = Cadence(config.control.rate_hz)
        low, high = settings.trained_range(config, manifest.spec)
        self._joints = JointLikeness(list(config.robot.joints), low, high)
        self._started_ns = now_ns()
        self._seen = {"tick": 0, "chunk": 0, "notice": 0}
        self._mode = Mode.IDLE
        self._mode_events = ModeEvents()
        self._reason = self._event = ""
        self._rejected: tuple[int, str] = (0, "")
        self._rejected_ns = 0
        self._frames_from: dict[str, tuple[int, ...]] = {}
        self._histograms: dict[str, dict[str, str]] = {}
        self._encoded_ns = 0
        self._runtime = version_note(manifest) or ""
        self.ready = False

    @property
    def uptime_ns(self) -> int:
        """Since the daemon started."""
        return now_ns() - self._started_ns

    def drain(self) -> None:
        """Take in the ticks and chunks since the last call; often enough loses none."""
        ticks = list(self._channels.ticks.since(self._seen["tick"]))
        for number, record in ticks:
            self._seen["tick"] = number
            self._cadence.tick(record)
            mode = Mode(int(record["mode"]))
            if mode is not self._mode:
                self._mode = mode
                self._entered(mode, number, int(record["due_ns"]))
        newest = self._channels.ticks.latest()
        if newest is not None:
            self._joints.look(newest[1]["positions"], int(newest[1]["sent_ns"]))
        for number, record in self._channels.chunks.since(self._seen["chunk"]):
            self._seen["chunk"] = number
            self._cadence.chunk(record)
        reasons = {}
        for number, record in self._channels.notices.since(self._seen["notice"]):
            self._seen["notice"] = number
            text = notice_text(record)
            if record["rejected"]:
                self._hear_rejection(int(record["rejected"]), text)
            else:
                self._reason = reasons[int(record["t_ns"])] = text
        for change in self._mode_events.take(ticks, reasons):
            self._event = change.event.id
            self._say_mode(change)

    def _hear_rejection(self, rejected: int, text: str) -> None:
        # Told every second while they come; said when they begin, or are refused otherwise.
        again = now_ns() - self._rejected_ns < _SAID_NS and text == self._rejected[1]
        self._rejected, self._rejected_ns = (rejected, text), now_ns()
        if not again:
            joint = _named(self._config.robot.joints, text)
            say(events.STATE_REFUSED, f"robot state: messages refused: {text}", joint=joint)

    def _say_mode(self, change: ModeEvent) -> None:
        name, text = change.mode.name, change.reason
        fault = change.mode is Mode.FAULT
        say(
            change.event,
            f"mode {name}: {text}" if text else f"mode {name}",
            level=logging.ERROR if fault else None,
            # In order, however often: a gap that comes again and again ends in FAULT by itself.
            always=True,
            mode=name,
            tick=change.tick,
            camera=_named(self._processes.cameras, text),
            joint=_named(self._config.robot.joints, text),
        )

    def clear(self) -> None:
        """Begin the statistics anew."""
        self.drain()
        self._cadence.clear()
        self._frames_from = {
            name: (
                ring.newest,
                *(ring.peek(key) or 0 for key in ("t_capture_ns", "drops", "damaged")),
            )
            for name, ring in self._channels.frames.items()
        }

    def hello(self) -> dict[str, Any]:
        """What a controller must know before it follows the actions."""
        config, spec = self._config, self._manifest.spec
        sizes = {f.camera: [*f.boundary_shape[:2]] for f in spec.cameras}
        return {
            "actd": __version__,
            "schema": messages.VERSION,
            "joints": list(config.robot.joints),
            "state": config.robot.state_names,
            "units": config.robot.units,
            "kinds": {name: joint.kind for name, joint in config.robot.joints.items()},
            "rate_hz": config.control.rate_hz,
            "policy_hz": config.policy_hz(spec.trained_hz),
            "chunk_size": spec.chunk_size,
            "chunk_mode": settings.chunk_mode(config, spec),
            "chunk": settings.chunk_words(config, spec),
            "cameras": sizes,
            "engine": self._manifest.engine,
            "engine_sha256": {file.name: file.sha256 for file in self._manifest.files},
            "ttl_ms": config.link.ttl_ms,
        }

    def status(self) -> dict[str, Any]:
        """Everything an operator asks for; statistics since ready or the last `clear`."""
        self.drain()
        latest = self._channels.ticks.latest()
        mode, state_age_ms, acknowledged_ms = "STARTING", None, None
        positions: dict[str, float] = {}
        move = None
        if latest is not None:
            record = latest[1]
            mode = Mode(int(record["mode"])).name
            if not np.isnan(record["positions"]).any():
                joints = self._config.robot.joints
                positions = dict(zip(joints, record["positions"].tolist(), strict=True))
            if mode == Mode.MOVING.name:
                move = {
                    "share": float(record["move_share"]),
                    "left_s": int(record["move_left_ns"]) / 1e9,
                }
            if record["controller_age_ns"] >= 0:
                acknowledged_ms = int(record["controller_age_ns"]) / 1e6
            if record["state_age_ns"] >= 0:
                state_age_ms = int(record["state_age_ns"]) / 1e6
        inference = self._processes.inference
        return {
            "mode": mode,
            "reason": self._reason if mode not in ("IDLE", "ARMED") else "",
            "event": self._event,
            "ready": self.ready,
            "uptime_s": self.uptime_ns / 1e9,
            "control": self._cadence.control(),
            "inference": {
                "engine": self._manifest.engine,
                "runtime": self._runtime,
                "state": self._inference_state(),
                "restarts": inference.restarts,
                "rejected": inference.condition.get("rejected", 0),
                "skew_ms": (self._channels.chunks.peek("skew_ns") or 0) / 1e6,
                **self._cadence.inference(),
            },
            "cameras": {name: self._camera(name) for name in self._processes.cameras},
            "move": move,
            "positions": positions,
            "beyond_training": self._joints.beyond,
            "unlike_training": self._unlike_training(),
            "state_age_ms": state_age_ms,
            "acknowledged_ms": acknowledged_ms,
            "state_rejected": {"count": self._rejected[0], "newest": self._rejected[1]},
            "flight": self._flight(),
            "pictures": self._pictures(),
            "realtime": self._processes.tick.condition.get("realtime", {}),
            "processes": self._process_facts(),
        }

    def _unlike_training(self) -> list[str]:
        """A sentence for each camera and joint that is unlike the training data."""
        conditions = {name: child.condition for name, child in self._processes.cameras.items()}
        return self._joints.words + [
            f"camera {name}: {condition['why']}"
            for name, condition in conditions.items()
            if "unlike training" in str(condition.get("state"))
        ]

    def _flight(self) -> str:
        recorder = self._processes.flight
        return "off" if recorder is None else describe(recorder.condition)

    def _pictures(self) -> dict[str, Any]:
        """Moments `saved` so far, the file of the `newest`, and how many `orders` were obeyed."""
        recorder = self._processes.pictures
        if recorder is None:
            return {"state": "off", "saved": 0, "newest": "", "orders": 0}
        condition = recorder.condition
        counts = {key: condition.get(key, 0) for key in ("saved", "orders")}
        newest = condition.get("newest", "")
        return {"state": describe(condition), "newest": newest, **counts}

    def histograms(self) -> dict[str, dict[str, str]]:
        """The cadence's histograms, encoded at most once a second however many ask."""
        now = now_ns()
        if not self._histograms or now - self._encoded_ns >= _ENCODE_NS:
            self.drain()
            self._histograms, self._encoded_ns = self._cadence.histograms(), now
        return self._histograms

    def line(self) -> str:
        """The status in one line, as `systemctl status` shows it."""
        status = self.status()
        control, inference = status["control"], status["inference"]
        cameras = " ".join(
            f"{name} {camera['fps']:.0f} fps"
            if camera["state"] == "ok"
            else f"{name} {camera['state'].partition(':')[0].upper()}"
            for name, camera in status["cameras"].items()
        )
        return (
            f"{status['mode']} {control['rate_hz']:.1f}/{control['target_hz']:g} Hz, "
            f"late p99 {control['lateness_us']['p99']:.0f} us, missed {control['missed']}, "
            f"{inference['engine']} {inference['ms']['p50']:.0f} ms ({inference['state']}), "
            f"{cameras}"
        )

    def _process_facts(self) -> dict[str, Any]:
        """What the kernel granted to each process."""
        children = (self._processes.tick, *self._processes.others)
        return {"supervisor": self._settled} | {
            child.name: child.condition.get("realtime", {}) for child in children
        }

    @property
    def inference_silent_ns(self) -> int:
        """Since inference, which had begun to work, gave its last sign of life; 0 before."""
        if self._processes.inference.condition.get("state") not in _WORKING:
            return 0
        return now_ns() - (self._channels.pulse.peek("t_ns") or 0)

    def _inference_state(self) -> str:
        """The condition it reported, unless it has come to a stop since."""
        silent_ns = self.inference_silent_ns
        if silent_ns > _SILENT_NS:
            return f"stuck: one inference, or a stopped process, for {silent_ns / 1e9:.1f} s"
        return describe(self._processes.inference.condition)

    def _camera(self, name: str) -> dict[str, Any]:
        ring, camera = self._channels.frames[name], self._processes.cameras[name]
        t_ns = ring.peek("t_capture_ns")
        count, since_ns, drops, damaged = self._frames_from.get(name, (0, 0, 0, 0))
        fps = 0.0
        if t_ns is not None and since_ns and t_ns > since_ns:
            fps = (ring.newest - count) * 1e9 / (t_ns - since_ns)
        changed_ns = ring.peek("t_changed_ns")
        unchanged_ns = max(0, t_ns - changed_ns) if t_ns and changed_ns else 0
        state = describe(camera.condition)
        limit_ns = round(self._config.staleness.frozen_ms * 1e6)
        if state == "ok" and is_frozen(unchanged_ns, limit_ns):
            state = f"frozen: the same image for {unchanged_ns / 1e6:.0f} ms"
        return {
            "state": state,
            "fps": round(fps, 2),
            "fps_asked": self._config.cameras[name].fps,
            "frames": ring.newest - count,
            "drops": (ring.peek("drops") or 0) - drops,
            "damaged": (ring.peek("damaged") or 0) - damaged,
            "age_ms": None if t_ns is None else (now_ns() - t_ns) / 1e6,
            "unchanged_ms": unchanged_ns / 1e6,
            "likeness": camera.condition.get("likeness") or None,
            "restarts": camera.restarts,
        }


def _named(names: Iterable[str], text: str) -> str:
    """The first of `names` that is a word of `text`, "" if none is."""
    words = set(_WORD.findall(text))
    return next((name for name in names if name in words), "")
