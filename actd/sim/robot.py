"""The robot process: `python -m actd.sim.robot`, two arms and their cameras in real time.

Owns the simulated arms and the table. Reads actions and publishes the measured state through the
client that every controller uses, and serves its cameras as MJPEG over HTTP, as network cameras do.
Without a valid action it holds its last target, as an arm must. Released (IDLE) after it was
driven, it brings the arms to the start pose, and the object is laid somewhere else.
With `--shift-cm` somebody moves the object meanwhile, as no demonstration shows.
It prints JSON lines: when ready, the camera addresses; from then on how the attempts stand,
whenever that changes; at the end a summary of the run. SIGTERM or SIGINT ends it. A failure is one
line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actd import crash
from actd.client import Robot
from actd.errors import ActdError
from actd.link.messages import Action
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.sim import picture
from actd.sim.aloha import GRIPPERS, JOINTS, AlohaSim
from actd.sim.homing import Homing
from actd.sim.mjpeg import MjpegServer
from actd.sim.record import Image, Recording, jpeg
from actd.sim.referee import Referee, Stage
from actd.sim.scene import SCENES, SHIFT_S, Scene

# One loop does everything: arm and state every cycle, and at most one image, since the
# cameras take turns and pictures come between them. 120 Hz holds all periods in whole cycles.
CYCLE_HZ = 120
CYCLE_NS = 1_000_000_000 // CYCLE_HZ
JPEG_QUALITY = 95
# A real arm has a computer of its own; on this shared one the daemon goes first.
NICE = 10


@dataclass(frozen=True, slots=True)
class RobotSettings:
    """The options of the command line."""

    ports: Ports
    scene: Scene
    seed: int | None = None
    window: bool = False
    record: Path | None = None
    sheet: Path | None = None
    shift_cm: float = 0.0
    nice: int = NICE


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
        self._random = np.random.default_rng(settings.seed)
        self._recording = Recording(settings.scene.picture_hz)
        self._window = _Window() if settings.window else None
        self._referee = Referee()
        self._homing: Homing | None = None
        self._mode: Mode | None = None
        self._first_driven_s: float | None = None
        self._shift_due_s: float | None = None
        self._images: dict[str, Image] = {}
        self._frames = dict.fromkeys(settings.scene.cameras, 0)
        self._moved_rad = 0.0
        self._skipped = 0

    def run(self) -> dict[str, Any]:
        """Run until stopped, write the requested files, and return a summary.

        Raises ActdError when the machine cannot draw or a file cannot be written.
        """
        started_cpu_s = time.process_time()
        settings = self._settings
        with AlohaSim(settings.scene) as sim, MjpegServer() as server:
            sim.reset(*settings.scene.place(self._random))
            with Robot(ports=settings.ports) as robot:
                for name in settings.scene.cameras:  # a broken OpenGL fails here
                    self._take_image(sim, server, name)
                cameras = {name: server.url(name) for name in settings.scene.cameras}
                _say({"cameras": cameras, "joints": JOINTS})
                seconds = self._loop(sim, server, robot)
        cpu_s = time.process_time() - started_cpu_s
        if settings.record:
            self._recording.write_video(settings.record)
        if settings.sheet:
            self._recording.write_sheet(settings.sheet)
        return {
            "seconds": round(seconds, 3),
            "moved_rad": round(self._moved_rad, 4),
            "frames": self._frames,
            "skipped_cycles": self._skipped,
            "cpu_share": round(cpu_s / max(seconds, 1e-9), 3),
            **asdict(self._referee.score),
        }

    def _loop(self, sim: AlohaSim, server: MjpegServer, robot: Robot) -> float:
        home = sim.state()
        turns = _turns(self._settings.scene)
        start_ns = time.monotonic_ns()
        cycle = 0
        while not self._stop.requested:
            now_cycle = (time.monotonic_ns() - start_ns) // CYCLE_NS
            elapsed, cycle = max(1, now_cycle - cycle), max(cycle + 1, now_cycle)
            self._skipped += elapsed - 1
            t_s = cycle / CYCLE_HZ
            sim.step(self._targets(sim, robot.receive(), home, t_s), elapsed / CYCLE_HZ)
            state = sim.state()
            robot.send_state(state)
            self._note_motion(home, state)
            self._judge(sim, t_s)
            # At most one: a large one takes several cycles, in which the arm does not answer.
            turn = next((turn for turn in turns if turn.is_due(cycle)), None)
            if turn is not None and turn.camera is not None:
                self._take_image(sim, server, turn.camera)
            elif turn is not None:
                self._take_picture(sim, t_s)
            due_ns = start_ns + (cycle + 1) * CYCLE_NS
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        return cycle / CYCLE_HZ

    def _targets(
        self, sim: AlohaSim, action: Action | None, home: dict[str, float], t_s: float
    ) -> dict[str, float]:
        """What the arms are told: the daemon's action, or the way home once they are released."""
        self._mode = None if action is None else action.mode
        if action is not None and action.moves:
            self._homing = None
            return action.action
        if self._mode is not Mode.IDLE or self._referee.score.stage is not Stage.RETURNING:
            return {}
        self._homing = self._homing or Homing(sim.state(), home, t_s)
        return self._homing.targets(t_s)

    def _judge(self, sim: AlohaSim, t_s: float) -> None:
        """Keep the score, and lay the object anew when the arms are home."""
        before = self._referee.score
        is_home = self._homing is not None and self._homing.is_over(t_s)
        self._referee.see(self._mode, t_s, is_done=sim.is_done, is_home=is_home)
        score = self._referee.score
        if self._shift_due_s is not None and t_s >= self._shift_due_s:
            self._shift_due_s = None
            sim.lay(*self._settings.scene.shifted(sim.place(), self._settings.shift_cm / 100))
        if score == before:
            return
        is_new = score.stage is Stage.WORKING and self._settings.shift_cm > 0
        self._shift_due_s = t_s + SHIFT_S if is_new else None
        if self._first_driven_s is None:
            self._first_driven_s = t_s
        if score.stage is Stage.HOME:
            self._homing = None
            sim.lay(*self._settings.scene.place(self._random))
        _say({"score": asdict(score)})

    def _note_motion(self, start: dict[str, float], state: dict[str, float]) -> None:
        farthest = max(abs(state[name] - start[name]) for name in JOINTS if name not in GRIPPERS)
        self._moved_rad = max(self._moved_rad, farthest)

    def _take_image(self, sim: AlohaSim, server: MjpegServer, camera: str) -> None:
        self._images[camera] = sim.render(camera).copy()
        server.publish(camera, jpeg(self._images[camera], JPEG_QUALITY))
        self._frames[camera] += 1

    def _take_picture(self, sim: AlohaSim, t_s: float) -> None:
        """One for the window, and from the first motion on for the recording."""
        if self._first_driven_s is None and self._window is None:
            return
        score = self._referee.score
        driven_s = 0.0 if self._first_driven_s is None else t_s - self._first_driven_s
        words = f"{score.successes} of {score.attempts} attempts done   {driven_s:.1f} s"
        mode = "SILENCE" if self._mode is None else self._mode.name
        view = sim.render_view(picture.HEIGHT, picture.WIDTH)
        image = picture.compose(view, self._images, mode, words)
        if self._first_driven_s is not None:
            self._recording.add(image)
        if self._window is not None:
            self._window.show(image)


class _Turn:
    """When the image of a camera is due, or without a camera a picture."""

    def __init__(self, camera: str | None, period: int, first: int) -> None:
        self.camera = camera
        self._period = period
        self._due = first

    def is_due(self, cycle: int) -> bool:
        """Whether it is due at `cycle`; if so the next one is due a period later."""
        if cycle < self._due:
            return False
        self._due += ((cycle - self._due) // self._period + 1) * self._period
        return True


def _turns(scene: Scene) -> list[_Turn]:
    cameras = [
        _Turn(name, CYCLE_HZ // scene.camera_hz, 2 * number)
        for number, name in enumerate(scene.cameras)
    ]
    return [*cameras, _Turn(None, CYCLE_HZ // scene.picture_hz, 1)]


class _Window:
    """A window with the picture, for as long as OpenCV can show one."""

    def __init__(self) -> None:
        self._works = True

    def show(self, image: Image) -> None:
        import cv2

        if not self._works:
            return
        try:
            cv2.imshow("actd demo", image[..., ::-1])
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
    os.nice(settings.nice)
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
    parser.add_argument("--scene", choices=sorted(SCENES), default="bar")
    parser.add_argument("--seed", type=int, help="of the places; default: others every time")
    parser.add_argument("--shift-cm", type=float, default=0.0, help="move the object so far")
    parser.add_argument("--nice", type=int, default=NICE, help="below 0 only for root")
    parser.add_argument("--window", action="store_true", help="show the cameras on the display")
    parser.add_argument("--record", type=Path, help="MP4 to write at the end")
    parser.add_argument("--sheet", type=Path, help="PNG contact sheet to write at the end")
    options = parser.parse_args(arguments)
    ports = Ports(state=options.state_port, actions=options.actions_port)
    return RobotSettings(
        ports,
        SCENES[options.scene],
        options.seed,
        options.window,
        options.record,
        options.sheet,
        options.shift_cm,
        options.nice,
    )


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    crash.install()
    sys.exit(main())
