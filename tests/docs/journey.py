"""The way of docs/from-lerobot-train.md, walked: its commands, taken from the page and executed.

What a person has before it begins is made here: a dataset, a policy that `lerobot-train` itself
made of it, two cameras (fake V4L2 devices below OpenCV), an SO-101 (a bus of Feetech servos behind
a serial port, below LeRobot's own driver) and its calibration. The policy has seen two steps of
training: it is no good, and moves.

Only this differs from the page: the serial port's name, and the ports of the daemon, for others
may use the usual ones on a computer that tests. `python -m tests.docs.journey LEROBOT_PYTHON`
writes how long each step took into the page.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file, save_file

from actd.datasets import DatasetWriter, Form
from tests.cameras.images import photo, scene
from tests.docs.lines import ROOT, blocks
from tests.drive.conftest import JOINTS
from tests.drive.feetech import FeetechBus
from tests.fake_v4l2 import FakeV4L2, build
from tests.ports import free_ports, link_section

PAGE = ROOT / "docs" / "from-lerobot-train.md"
CAMERAS = ("front", "wrist")
SIZE = (96, 128)
_MODES = ("MJPG 320 240 30",)
_ROWS, _FPS = 188, 30  # once there and back
_CENTER = np.array([25, -20, 20, 15, -12, 50])  # degrees, the gripper in percent
# Wide and slow: servos of Python lag on a busy computer, and what an arm may lag follows from its
# range.
_SWAY = np.array([40, 30, 24, 36, 20, 40])
_COUNT = 360 / 4095  # what LeRobot makes of a servo's count
_PATIENCE_S = 400.0
_TRIES = 4


_BEGIN, _END = "<!-- times: begin -->", "<!-- times: end -->"
_UNTIL = {
    "lerobot-train": "(what comes before)",
    "export": "the engines are written",
    "cameras": "match.png is written",
    "init": "actd.yaml is written",
    "run": "it says `ready:`",
    "drive": "it asks for Enter",
    "Enter": "the arm is where the demonstrations begin, and the policy drives",
    "lerobot-record": "(LeRobot's own way) the arm moves: it jumps to the policy's first action",
}
_ROUNDS = 3
_MOVES = 10.0  # degrees: the arm has moved


def lerobot_record(port: str) -> list[str]:
    """LeRobot's own command for the same arm, cameras and policy."""
    cameras = ", ".join(
        f"{name}: {{type: opencv, index_or_path: /dev/video{number}, width: 320, height: 240, "
        "fps: 30}"
        for number, name in enumerate(CAMERAS)
    )
    return [
        "lerobot-record",
        *("--robot.type=so101_follower", f"--robot.port={port}", "--robot.id=blue"),
        f"--robot.cameras={{{cameras}}}",
        "--policy.path=outputs/train/cup/checkpoints/last/pretrained_model",
        *("--dataset.repo_id=me/eval_cup", "--dataset.single_task=pick the cup"),
        *("--dataset.num_episodes=1", "--dataset.push_to_hub=false", "--play_sounds=false"),
    ]


def commands() -> list[list[str]]:
    """The page's commands, in order: of each block that is one, its words."""
    lines = [line for block in blocks(PAGE.read_text("utf-8")) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("actd ")]


@dataclass
class Took:
    """Wall-clock seconds of each step, by the command's name."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def by(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = time.monotonic() - began


class Traveller:
    """A person at a terminal in `home`, with all that the page presumes."""

    def __init__(self, folder: Path, lerobot_python: str, v4l2: FakeV4L2) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._lerobot = lerobot_python
        self._v4l2 = v4l2
        self._environment = {
            **os.environ,
            "HOME": str(self.home),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(ROOT),
            # Threads that wait actively starve each other where many programs share the cores.
            "OMP_NUM_THREADS": "1",
        }
        self._environment.pop("HF_HOME", None)
        self.took = Took()
        self.bus = FeetechBus(folder / "arm.log", len(JOINTS))
        self.arm_log = folder / "arm.log"
        self._record(self.home / "sets" / "cup")
        self._calibrate()
        self._plug_cameras_in()

    def close(self) -> None:
        self.bus.close()

    def train(self) -> None:
        """`lerobot-train`, as briefly as it can."""
        words = [
            str(Path(self._lerobot).with_name("lerobot-train")),
            "--dataset.repo_id=me/cup",
            f"--dataset.root={self.home / 'sets' / 'cup'}",
            "--dataset.video_backend=pyav",
            *("--policy.type=act", "--policy.device=cpu", "--policy.push_to_hub=false"),
            *("--policy.pretrained_backbone_weights=null", "--policy.n_encoder_layers=1"),
            *("--policy.chunk_size=20", "--policy.n_action_steps=20", "--policy.dim_model=64"),
            *(
                "--policy.n_heads=2",
                "--policy.dim_feedforward=64",
                "--output_dir=outputs/train/cup",
            ),
            *("--steps=2", "--batch_size=1", "--num_workers=0", "--eval_freq=0", "--save_freq=2"),
            "--wandb.enable=false",
        ]
        environment = {k: v for k, v in self._environment.items() if k != "PYTHONPATH"}
        with self.took.by("lerobot-train"):
            done = subprocess.run(
                words, cwd=self.home, env=environment, capture_output=True, text=True,
                check=False, timeout=_PATIENCE_S,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        # Hardly trained, it would want to begin anywhere; now it is near the middle of the data.
        weights = (
            self.home / "outputs/train/cup/checkpoints/last/pretrained_model/model.safetensors"
        )
        tensors = load_file(weights)
        for name in ("model.action_head.weight", "model.action_head.bias"):
            tensors[name] *= 0.05
        save_file(tensors, weights, {"format": "pt"})

    def type(self, words: list[str]) -> str:
        """Run a command of the page to its end; what it printed on stdout."""
        with self.took.by(words[1]):
            done = subprocess.run(
                self._command(words), cwd=self.home, env=self._with_cameras(),
                capture_output=True, text=True, check=False, timeout=_PATIENCE_S,
            )  # fmt: skip
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"
        return done.stdout

    def use_free_ports(self) -> None:
        """The one thing that is changed in what `actd init` wrote."""
        path = self.home / "actd.yaml"
        ports = free_ports()
        text = path.read_text().replace(
            "dashboard:\n  enabled: true", "dashboard:\n  enabled: false"
        )
        path.write_text(f"{text}\n{link_section(ports)}\n")

    @contextmanager
    def running(self, words: list[str]) -> Iterator[None]:
        """A command of the page that goes on until Ctrl-C; the body runs once it is ready."""
        log = self.home / "run.log"
        with log.open("w") as said:
            process = subprocess.Popen(
                self._command(words), cwd=self.home, env=self._with_cameras(),
                stdout=said, stderr=said,
            )  # fmt: skip
        try:
            with self.took.by(words[1]):
                _wait(lambda: " ready: " in log.read_text(), process, log.read_text)
            yield
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def driving(self, words: list[str]) -> Iterator[Terminal]:
        """`actd drive` at a terminal of its own, in LeRobot's environment."""
        words = [word.replace("/dev/ttyACM0", self.bus.port) for word in words]
        command = self._command(words, self._lerobot)
        terminal = Terminal(command, self.home, self._environment)
        try:
            with self.took.by(words[1]):
                # Servos of Python do not always answer in time on a computer that is busy.
                for _ in range(_TRIES - 1):
                    if terminal.hears_or_ends("Enter arms"):
                        break
                    terminal.close()
                    terminal = Terminal(command, self.home, self._environment)
                terminal.hears("Enter arms")
            yield terminal
        finally:
            terminal.close()

    def record(self) -> None:
        """LeRobot's own way to the same: its loop with the checkpoint, until the arm moves."""
        words = lerobot_record(self.bus.port)
        words[0] = str(Path(self._lerobot).with_name(words[0]))
        environment = {k: v for k, v in self._with_cameras().items() if k != "PYTHONPATH"}
        before, log = self.moments, self.home / "record.log"
        with log.open("w") as said, self.took.by("lerobot-record"):
            process = subprocess.Popen(
                words, cwd=self.home, env=environment, stdout=said, stderr=said,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            try:
                _wait(lambda: self.moved(before) > _MOVES, process, log.read_text)
            finally:
                with suppress(ProcessLookupError):  # it has ended by itself
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @property
    def moments(self) -> int:
        """How many lines the arm's log has."""
        return len(self.arm_log.read_text().splitlines())

    def moved(self, since: int) -> float:
        """How far the joint that moved most has come since that line of the log, degrees."""
        rows = [line.split()[1:] for line in self.arm_log.read_text().splitlines()[since:-1]]
        places = np.array(rows, np.float64)
        return float(np.abs(places - places[:1]).max(initial=0.0))

    def _command(self, words: list[str], python: str = sys.executable) -> list[str]:
        assert words[0] == "actd"
        return [python, "-m", "actd", *(re.sub(r"^~", str(self.home), word) for word in words[1:])]

    def _with_cameras(self) -> Mapping[str, str]:
        return {**self._v4l2.environment(), **self._environment}

    def _record(self, folder: Path) -> None:
        """Two demonstrations: the arm sways, and something white crosses the images with it."""
        keys = {f"observation.images.{name}": SIZE for name in CAMERAS}
        form = Form(_FPS, {"observation.state": JOINTS, "action": JOINTS}, keys, "so101_follower")
        with DatasetWriter(folder, form) as writer:
            for shift in (0.0, np.pi):
                episode = writer.begin("pick the cup")
                for row in range(_ROWS):
                    phase = shift + row / _FPS
                    sway = _SWAY * np.sin(phase)
                    action = (_CENTER + sway).astype(np.float32)
                    images = {
                        key: cv2.resize(
                            _shown(number, phase), SIZE[::-1], interpolation=cv2.INTER_AREA
                        )
                        for number, key in enumerate(keys)
                    }
                    state = np.rint((action - 1) / _COUNT) * _COUNT
                    vectors = {"observation.state": state.astype(np.float32), "action": action}
                    episode.add(vectors, images)
                episode.save()

    def _calibrate(self) -> None:
        folder = self.home / ".cache/huggingface/lerobot/calibration/robots/so_follower"
        folder.mkdir(parents=True)
        calibration = {
            name.removesuffix(".pos"): {
                "id": number, "drive_mode": 0, "homing_offset": 0, "range_min": 0, "range_max": 4095
            }
            for number, name in enumerate(JOINTS, 1)
        }  # fmt: skip
        (folder / "blue.json").write_text(json.dumps(calibration))

    def _plug_cameras_in(self) -> None:
        """Two webcams that see what the dataset has seen."""
        for number, name in enumerate(CAMERAS):
            self._v4l2.add(
                _shown(number, 0),
                by_id=f"webcam_{name}",
                port=str(number),
                modes=_MODES,
                noise=True,
            )


class Terminal:
    """A program at a terminal, as a person sees it and types to it."""

    def __init__(self, words: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._ours, self._theirs = pty.openpty()
        self.said = ""
        self.process = subprocess.Popen(
            words, cwd=folder, env=environment,
            stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
        )  # fmt: skip

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def hears_or_ends(self, text: str) -> bool:
        """Wait until it says that, or ends."""
        try:
            self.hears(text)
        except AssertionError:
            if self.process.poll() is None:
                raise
            return False
        return True

    def hears(self, text: str, timeout_s: float = _PATIENCE_S) -> None:
        """Wait until it says that."""
        deadline = time.monotonic() + timeout_s
        while text not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self._ours], [], [], 0.2)[0]:
                self.said += os.read(self._ours, 4096).decode(errors="replace")
            elif self.process.poll() is not None:
                raise AssertionError(self.said)

    def press_until(self, key: str, text: str, *, every_s: float = 15) -> None:
        """Press it again and again, as a person does where a busy computer was refused."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            self.press(key)
            try:
                return self.hears(text, every_s)
            except AssertionError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


def _shown(number: int, phase: float) -> np.ndarray:
    image = photo(scene(number)).copy()
    left = int(300 + 250 * np.sin(phase))
    image[200:260, left : left + 40] = 255
    return image


def _wait(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], said: Callable[[], str]
) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert process.poll() is None, said()
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)


def walk(traveller: Traveller) -> None:
    """From a training to a moving arm and its rest, by the page's commands."""
    export, cameras, init, run, drive = commands()
    assert "next: actd bench engines/cup/" in traveller.type(export)
    seen = traveller.type(cameras)
    assert "front: " in seen
    assert "/dev/v4l/by-id/usb-webcam_wrist-video-index0" in seen
    assert "left to guess: nothing" in traveller.type(init)
    traveller.use_free_ports()
    before = traveller.moments
    with traveller.running(run), traveller.driving(drive) as terminal:
        with traveller.took.by("Enter"):
            terminal.press_until("\n", "ARMED")
        assert traveller.moved(before) > _MOVES
        terminal.process.send_signal(signal.SIGINT)
        terminal.hears("left: ")
        assert terminal.process.wait(30) == 0


def times(rounds: list[Took]) -> str:
    """The table of the page: the median of the rounds, and the shortest and the longest."""
    when = time.strftime("%Y-%m-%d")
    load = os.getloadavg()[0]
    head = (
        f"By `python -m tests.docs.journey` on {when}: the median of {len(rounds)} rounds and "
        f"their range; {os.cpu_count()} cores, load average {load:.0f}, each program's mathematics "
        f"on one thread, a small ACT with {len(CAMERAS)} cameras of {SIZE[0]}x{SIZE[1]}, a "
        "simulated arm. "
        "Keys are those of the command as it stands above, with Enter.\n"
    )
    typed = [*commands(), lerobot_record("/dev/ttyACM0")]
    names = [words[1] if words[0] == "actd" else words[0] for words in typed]
    lines = [" ".join(words) for words in commands()] + [shlex.join(typed[-1])]
    keys = {name: len(line) + 1 for name, line in zip(names, lines, strict=True)}
    rows = ["| step | keys | seconds | until |", "|---|---|---|---|"]
    for step, until in _UNTIL.items():
        seconds = sorted(took.seconds[step] for took in rounds)
        middle = f"{np.median(seconds):.0f} ({seconds[0]:.0f} to {seconds[-1]:.0f})"
        rows.append(f"| {step} | {(keys | {'Enter': 1}).get(step, '')} | {middle} | {until} |")
    return "\n".join([head, *rows])


def main() -> None:
    """Walk, and write the page. LeRobot's own command needs rerun-sdk in its environment."""
    rounds, python = [], str(Path(sys.argv[1]).absolute())
    for _ in range(_ROUNDS):
        took = Took()
        for way in (Traveller.record, walk):  # each with an arm of its own, in its middle
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                traveller = Traveller(folder, python, FakeV4L2(folder / "v4l2", build(folder)))
                try:
                    traveller.train()
                    way(traveller)
                finally:
                    traveller.close()
            took.seconds |= traveller.took.seconds
        rounds.append(took)
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{times(rounds)}\n{_END}{after}", "utf-8")


if __name__ == "__main__":
    main()
