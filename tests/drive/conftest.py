"""A real daemon for an arm of six joints, and `actd drive` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from actd.arrays import Vector
from actd.client import Operator
from actd.engine.ort import OUTPUT
from actd.errors import LinkError
from actd.link.sockets import Ports
from tests.engines import constant, mean, policy_spec, write_engine
from tests.ports import free_ports, link_section
from tests.runtime.conftest import Daemon, start, wait_until
from tests.videos import write_video

ROOT = Path(__file__).parents[2]
ARMS = Path(__file__).with_name("arms.py")
ROBOT = "drive-arm"
JOINTS = tuple(
    f"{name}.pos"
    for name in (
        "shoulder_pan",
        "shoulder_lift",
        "elbow_flex",
        "wrist_flex",
        "wrist_roll",
        "gripper",
    )
)
SIZE = (48, 64)
FPS = 30
VELOCITY = 2.0
RATE_HZ = 50


@dataclass(frozen=True)
class Motion:
    """How a policy moves: every joint within `span` around its place in `centers`, in `units`."""

    joints: tuple[str, ...] = JOINTS
    centers: tuple[float, ...] = (0.0,) * len(JOINTS)
    span: float = 1.2
    units: str = "rad"


def write_swaying_engine(folder: Path, motion: Motion, chunk_size: int = 50) -> Path:
    """An engine that follows the brightness of camera `front`, and nothing else."""
    spec = policy_spec(len(motion.joints), {"front": SIZE}, chunk_size)
    share = (motion.span * np.linspace(0.8, 0.4, len(motion.joints))).astype(np.float32)
    offset = np.array(motion.centers, np.float32) - share / 2
    nodes = [
        *mean(spec.cameras[0].key, "brightness"),
        constant("share", share / 255),
        constant("rows", np.tile(offset, (chunk_size, 1))),
        helper.make_node("Mul", ["brightness", "share"], ["seen"]),
        helper.make_node("Add", ["rows", "seen"], [OUTPUT]),
    ]
    return write_engine(folder, spec, nodes)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_swaying_engine(tmp_path_factory.mktemp("engines") / "ort-fp32", Motion())


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From dark to bright and back in two seconds: that is the motion."""
    turns = 2 * np.pi * np.arange(2 * FPS) / (2 * FPS)
    levels = 127 + 90 * np.sin(turns)
    images = (np.full((*SIZE, 3), level, np.uint8) for level in levels)
    return write_video(tmp_path_factory.mktemp("film") / "front.avi", images, FPS)


def write_config(  # noqa: PLR0917
    folder: Path,
    engine: Path,
    film: Path | None,
    ports: Ports,
    motion: Motion | None = None,
    camera: str = "",
) -> Path:
    """Write and return actd.yaml. `camera`: where the images come from that are no film's."""
    motion = motion or Motion()
    span = motion.span

    def joint(name: str, center: float) -> str:
        if name.endswith(".vel"):
            return f"{{kind: velocity, position: [{-span:g}, {span:g}], velocity: {4 * span:g}}}"
        limits = f"velocity: {VELOCITY * span / 1.2:g}, acceleration: {20 * span / 1.2:g}"
        kind = ", kind: gripper" if "gripper" in name else ""
        return f"{{position: [{center - span:g}, {center + span:g}], {limits}{kind}}}"

    source = f"index_or_path: '{film}'"
    places = zip(motion.joints, motion.centers, strict=True)
    lines = [
        f"engine: {engine}",
        f"robot: {{name: {ROBOT}, units: '{motion.units}', start_distance: {span / 5:g}, ",
        "joints: {",
        *(f"  {name}: {joint(name, c)}," for name, c in places),
        "}}",
        f"cameras: {{front: {{{camera or source}, width: {SIZE[1]}, height: {SIZE[0]}, "
        f"fps: {FPS}}}}}",
        link_section(ports),
        f"control: {{rate_hz: {RATE_HZ}, policy_hz: 50, ease_in_ms: 300, mode: temporal}}",
        "process: {inference: {threads: 1}}",
        f"flight: {{folder: '{folder / 'flights'}', max_mb: 64}}",
    ]
    path = folder / "actd.yaml"
    path.write_text("\n".join(lines))
    return path


def ready(config: Path, ports: Ports) -> Daemon:
    daemon = start(config, ports)
    try:
        daemon.wait_ready()
    except BaseException:
        end(daemon)
        raise
    return daemon


def end(daemon: Daemon) -> None:
    if daemon.process.poll() is None:
        daemon.process.terminate()
    try:
        daemon.process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        daemon.process.kill()
        daemon.process.communicate()
    for process in daemon.processes:
        if process.is_running():
            process.kill()


@pytest.fixture(scope="module")
def shared_daemon(
    tmp_path_factory: pytest.TempPathFactory, engine: Path, film: Path
) -> Iterator[Daemon]:
    ports = free_ports()
    config = write_config(tmp_path_factory.mktemp("daemon"), engine, film, ports)
    daemon = ready(config, ports)
    yield daemon
    end(daemon)


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    """A ready daemon in IDLE, that nobody drives."""
    with shared_daemon.operator() as operator:
        operator.stop()
        operator.reset()
        wait_until(
            lambda: (operator.status()["acknowledged_ms"] or 1000) > 600,
            "the last driver to be forgotten",
        )
    return shared_daemon


class Driven:
    """One `actd drive` and its arm's own log."""

    def __init__(
        self,
        folder: Path,
        words: list[str],
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        joints: tuple[str, ...] = JOINTS,
    ) -> None:
        self.log = folder / "arm.log"
        self.mishap = folder / "mishap"
        self._said = folder / "said.txt"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [python, "-m", "actd", "drive", *words, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(
                        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
                    ),
                    "ARM_LOG": str(self.log),
                    "ARM_WHEN": str(self.mishap),
                    "ARM_NAMES": ",".join(joints),
                    **(environment or {}),
                },
            )

    @property
    def said(self) -> str:
        """What it has written to stderr."""
        return self._said.read_text()

    def wait(self, timeout_s: float = 20) -> int:
        return self.process.wait(timeout_s)

    def leave(self, number: int = signal.SIGINT, timeout_s: float = 20) -> dict[str, Any]:
        """End it by a signal; what it printed."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=timeout_s)
        assert self.process.returncode == 0, self.said
        summary: dict[str, Any] = json.loads(output)
        return summary

    def places(self) -> tuple[Vector, Vector]:
        """When, s on CLOCK_BOOTTIME, and where it was: (n,) and (n, joints)."""
        rows = [line.split() for line in self.log.read_text().splitlines() if line[:1].isdigit()]
        rows = [row for row in rows if len(row) == len(rows[0])]
        table = np.array(rows or [[0.0]], dtype=np.float64)
        return table[:, 0] / 1e9, table[:, 1:]

    def speed(self, last_s: float = 0.5) -> float:
        """The largest speed of any joint lately, rad/s."""
        t, places = self.places()
        recent = t > t[-1] - last_s
        travelled = np.abs(np.diff(places[recent], axis=0))
        return float((travelled.max(axis=1) / np.diff(t[recent])).max())

    def moved(self) -> float:
        """How far the joint that moved most has been from where it began, rad."""
        _, places = self.places()
        return float(np.abs(places - places[0]).max(initial=0.0))


@pytest.fixture
def driven(tmp_path: Path, daemon: Daemon) -> Iterator[Callable[..., Driven]]:
    """Starts `actd drive` with an arm of `arms.py`; nothing survives the test."""
    processes: list[Driven] = []

    def begin(kind: str, *words: str, **options: Any) -> Driven:
        place = [f"{ARMS}:{kind}"] if kind else []
        one = Driven(tmp_path, [*place, "-c", str(daemon.config), *words], **options)
        processes.append(one)
        return one

    yield begin
    for one in processes:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def set_in_motion(daemon: Daemon, one: Driven, by: float = 0.1, timeout_s: float = 60) -> None:
    """Arm as soon as nothing prevents it, and again where a busy computer made a gap."""
    refusals = [""]

    def moves(operator: Operator) -> bool:
        for order in ("reset", "arm"):
            try:
                operator.request(order)
            except LinkError as error:
                refusals.append(str(error))
        return one.log.exists() and one.moved() > by

    with daemon.operator() as operator:
        deadline = time.monotonic() + timeout_s
        while not moves(operator):
            assert one.process.poll() is None, one.said
            assert time.monotonic() < deadline, refusals[-1]
            time.sleep(0.1)


def mode(daemon: Daemon) -> str:
    with daemon.operator() as operator:
        return str(operator.status()["mode"])
