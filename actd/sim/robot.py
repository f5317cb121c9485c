"""The robot process: `python -m actd.sim.robot`, an arm and two cameras in real time.

Owns the simulated arm. Reads actions and publishes the measured state through the client that
every controller uses, and serves its cameras as MJPEG over HTTP, as network cameras do.
When ready it prints one JSON line with the camera addresses; at the end, one with a summary of the
run. SIGTERM or SIGINT ends it. Without a valid action it holds its last target, as an arm must. A
failure is one line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actd import crash
from actd.client import Robot
from actd.errors import ActdError
from actd.link.sockets import Ports
from actd.sim.aloha import CAMERAS, GRIPPERS, JOINTS, AlohaSim
from actd.sim.mjpeg import MjpegServer
from actd.sim.record import CameraRecording, Image

CAMERA_HZ = 30
# One loop does everything: arm and state every cycle, and at most one image, since the
# cameras take turns. 120 Hz holds both periods in whole cycles.
CYCLE_HZ = 120
CYCLES_PER_FRAME = CYCLE_HZ // CAMERA_HZ
CYCLE_NS = 1_000_000_000 // CYCLE_HZ
JPEG_QUALITY = 90
NICE = 10


@dataclass(frozen=True, slots=True)
class RobotSettings:
    """The options of the command line."""

    ports: Ports
    window: bool = False
    record: Path | None = None
    sheet: Path | None = None


class Stop:
    """Whether to stop. A plain flag: a signal handler must not take a lock."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, *_: object) -> None:
        """A signal handler."""
        self.requested = True


class RobotProcess:
    """One run, from start pose to stop. Not reusable."""

    def __init__(self, settings: RobotSettings, stop: Stop) -> None:
        self._settings = settings
        self._stop = stop
        self._recording = CameraRecording(list(CAMERAS), CAMERA_HZ)
        self._window = _Window() if settings.window else None
        self._next_frame = {name: turn * 2 for turn, name in enumerate(CAMERAS)}
        self._frames = dict.fromkeys(CAMERAS, 0)
        self._moving = False
        self._moved_rad = 0.0
        self._skipped = 0

    def run(self) -> dict[str, Any]:
        """Run until stopped, write the requested files, and return a summary.

        Raises ActdError when the machine cannot draw or a file cannot be written.
        """
        started_cpu_s = time.process_time()
        with AlohaSim() as sim, MjpegServer() as server, Robot(ports=self._settings.ports) as robot:
            for name in CAMERAS:
                server.publish(name, _jpeg(sim.render(name)))  # a broken OpenGL fails here
            _say({"cameras": {name: server.url(name) for name in CAMERAS}, "joints": JOINTS})
            seconds = self._loop(sim, server, robot)
        cpu_s = time.process_time() - started_cpu_s
        if self._settings.record:
            self._recording.write_video(self._settings.record)
        if self._settings.sheet:
            self._recording.write_sheet(self._settings.sheet)
        return {
            "seconds": round(seconds, 3),
            "moved_rad": round(self._moved_rad, 4),
            "frames": self._frames,
            "skipped_cycles": self._skipped,
            "cpu_share": round(cpu_s / max(seconds, 1e-9), 3),
        }

    def _loop(self, sim: AlohaSim, server: MjpegServer, robot: Robot) -> float:
        start_pose = sim.state()
        start_ns = time.monotonic_ns()
        cycle = 0
        while not self._stop.requested:
            now_cycle = (time.monotonic_ns() - start_ns) // CYCLE_NS
            elapsed, cycle = max(1, now_cycle - cycle), max(cycle + 1, now_cycle)
            self._skipped += elapsed - 1
            action = robot.receive()
            targets = action.action if action is not None and action.moves else {}
            if targets and not self._moving:
                self._moving = True
                self._recording.begin_at(cycle / CYCLE_HZ)
            sim.step(targets, elapsed / CYCLE_HZ)
            state = sim.state()
            robot.send_state(state)
            self._note_motion(start_pose, state)
            self._take_images(sim, server, cycle)
            due_ns = start_ns + (cycle + 1) * CYCLE_NS
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        return cycle / CYCLE_HZ

    def _note_motion(self, start: dict[str, float], state: dict[str, float]) -> None:
        farthest = max(abs(state[name] - start[name]) for name in JOINTS if name not in GRIPPERS)
        self._moved_rad = max(self._moved_rad, farthest)

    def _take_images(self, sim: AlohaSim, server: MjpegServer, cycle: int) -> None:
        for name, due in self._next_frame.items():
            if cycle < due:
                continue
            image = sim.render(name)
            jpeg = _jpeg(image)
            server.publish(name, jpeg)
            self._recording.add(name, cycle / CYCLE_HZ, jpeg)
            self._frames[name] += 1
            missed_frames = (cycle - due) // CYCLES_PER_FRAME
            self._next_frame[name] = due + (missed_frames + 1) * CYCLES_PER_FRAME
            if self._window is not None:
                self._window.show(name, image)


class _Window:
    """A window with both cameras side by side, for as long as OpenCV can show one."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}
        self._works = True

    def show(self, name: str, image: Image) -> None:
        import cv2

        self._images[name] = image
        if not self._works or len(self._images) < len(CAMERAS):
            return
        side_by_side = np.hstack([self._images[camera] for camera in CAMERAS])
        try:
            cv2.imshow("actd demo", side_by_side[..., ::-1])
            cv2.waitKey(1)
        except cv2.error:
            self._works = False
            sys.stderr.write("no window: this OpenCV cannot open one; continuing without\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the robot; returns the exit code."""
    settings = _parse(arguments)
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.request)
    # A real arm has a computer of its own; on this shared one the daemon goes first.
    os.nice(NICE)
    try:
        _say({"done": RobotProcess(settings, stop).run()})
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _parse(arguments: Sequence[str] | None) -> RobotSettings:
    parser = argparse.ArgumentParser(prog="python -m actd.sim.robot", description="The demo robot.")
    parser.add_argument("--state-port", type=int, default=Ports().state)
    parser.add_argument("--actions-port", type=int, default=Ports().actions)
    parser.add_argument("--window", action="store_true", help="show the cameras on the display")
    parser.add_argument("--record", type=Path, help="MP4 to write at the end")
    parser.add_argument("--sheet", type=Path, help="PNG contact sheet to write at the end")
    options = parser.parse_args(arguments)
    ports = Ports(state=options.state_port, actions=options.actions_port)
    return RobotSettings(ports, options.window, options.record, options.sheet)


def _jpeg(image: Image) -> bytes:
    import cv2

    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    crash.install()
    sys.exit(main())
