"""Doctor on this computer, with real cameras of files, engines, ports and controllers: what is
wrong is found, its fix is followed, and then it is well.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from actd import host
from actd.cameras.config import CameraConfig, OpenCVConfig
from actd.client import Robot
from actd.doctor import cameras, examine, robot
from actd.doctor.checks import cameras as camera_checks
from actd.doctor.checks import deployment
from actd.doctor.checks import robot as robot_checks
from actd.doctor.deployment import read_deployment
from actd.doctor.examine import gather, judge
from actd.doctor.facts import Facts
from actd.doctor.finding import Problem, Trouble
from actd.doctor.lateness import measure_loops
from actd.doctor.loop_process import LoopJob, run_loop
from actd.engine.manifest import MANIFEST
from actd.link.sockets import Ports
from actd.runtime.clock import now_ns
from tests.cameras.images import numbered
from tests.doctor.tree import process
from tests.fake_v4l2 import FakeV4L2
from tests.ports import HOST
from tests.runtime.conftest import JOINTS, ROBOT, Daemon, daemon, video
from tests.runtime.test_engine_here import edit_manifest, turn_sign_of_a_constant
from tests.videos import write_video

TICK_MODULE = examine.TICK_MODULE
OTHERS = {"clock", "governor", "idle states", "temperature", "power", "memory", "realtime"}
"""Checks of the computer that tests happen to run on."""


@pytest.fixture(autouse=True)
def _briefly_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other daemons of this computer are none of these tests' business."""
    monkeypatch.setattr(cameras, "LOOK_S", 0.2)
    monkeypatch.setattr(robot, "LISTEN_S", 0.3)
    monkeypatch.setattr(examine, "TICK_MODULE", "no such module")


def troubles_of(config: Path, root: Path = Path("/")) -> dict[str, Trouble]:
    """What is wrong with a deployment, by the name of its row."""
    rows = judge(gather(config, seconds=0, root=root))
    return {
        row.name: row.finding
        for row in rows
        if isinstance(row.finding, Trouble) and row.check not in OTHERS
    }


def only(troubles: dict[str, Trouble]) -> tuple[Problem, str, str]:
    ((found),) = troubles.values()
    return found.problem, found.found, found.fix


@pytest.fixture
def own_engine(config: Path, small_engine: Path, tmp_path: Path) -> Path:
    """The deployment's engine, to be damaged."""
    engine = Path(shutil.copytree(small_engine, tmp_path / "engine"))
    config.write_text(config.read_text().replace(str(small_engine), str(engine)))
    return engine


@contextmanager
def sending(ports: Ports, values: dict[str, float], name: str = ROBOT) -> Iterator[None]:
    """A robot's controller that sends its state."""
    over = threading.Event()

    def send() -> None:
        with Robot(name, ports=ports) as link:
            while not over.wait(0.01):
                link.send_state(values)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_deployment_that_is_well(config: Path) -> None:
    assert troubles_of(config) == {}


def test_a_mistake_in_the_file(config: Path) -> None:
    right = config.read_text()
    config.write_text(right.replace("policy_hz: 50", "policy_hz: -50"))
    problem, found, fix = only(troubles_of(config))
    assert problem is deployment.INVALID
    assert "control.policy_hz" in found
    assert "config check" in fix
    config.write_text(right)
    assert troubles_of(config) == {}


def test_an_engine_whose_file_was_changed(
    config: Path, own_engine: Path, small_engine: Path
) -> None:
    (own_engine / "model.onnx").write_bytes(b"x")
    problem, _, fix = only(troubles_of(config))
    assert problem is deployment.ENGINE_UNUSABLE
    assert "actd export" in fix
    shutil.copytree(small_engine, own_engine, dirs_exist_ok=True)
    assert troubles_of(config) == {}


def test_an_engine_that_computes_otherwise_here(
    config: Path, own_engine: Path, small_engine: Path
) -> None:
    turn_sign_of_a_constant(own_engine)
    problem, found, fix = only(troubles_of(config))
    assert problem is deployment.TOO_FAR
    assert "worst joint" in found
    assert "build it again on this computer: actd export" in fix
    shutil.copytree(small_engine, own_engine, dirs_exist_ok=True)
    assert troubles_of(config) == {}


def test_an_engine_without_a_reference(config: Path, own_engine: Path) -> None:
    (own_engine / "reference.npz").write_bytes(b"no archive")
    edit_manifest(own_engine)
    assert only(troubles_of(config))[0] is deployment.NOT_COMPUTED


def test_another_runtime_than_it_was_verified_with(config: Path, own_engine: Path) -> None:
    edit_manifest(own_engine, onnxruntime="1.20.1")
    problem, found, _ = only(troubles_of(config))
    assert problem is deployment.OTHER_VERSION
    assert "verified with onnxruntime 1.20.1" in found
    edit_manifest(own_engine, onnxruntime=str(host.onnxruntime_version()))
    assert troubles_of(config) == {}


def test_an_engine_for_a_gpu_that_is_not_here(config: Path, own_engine: Path) -> None:
    data = json.loads((own_engine / MANIFEST).read_text())
    (own_engine / MANIFEST).write_text(json.dumps(data | {"runtime": "trt"}))
    problems = {trouble.problem for trouble in troubles_of(config).values()}
    if host.gpu_facts("name") is None:
        assert problems >= {deployment.NO_GPU, deployment.RUNTIME_MISSING}


def test_a_port_that_another_program_has(config: Path, ports: Ports) -> None:
    with socket.create_server((HOST, ports.status)):
        problem, found, fix = only(troubles_of(config))
    assert problem is deployment.PORT_TAKEN
    assert f"{ports.status} (status): taken by " in found
    assert f"(pid {os.getpid()})" in fix
    assert troubles_of(config) == {}


def test_flights_that_cannot_be_written(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    folder.write_text("a file")
    problem, found, fix = only(troubles_of(config))
    assert problem is deployment.NOT_WRITABLE
    assert str(folder) in found + fix
    folder.unlink()
    folder.mkdir()
    assert troubles_of(config) == {}


def camera(tmp_path: Path, name: str, images: Any, **settings: Any) -> CameraConfig:
    video = write_video(tmp_path / f"{name}.avi", images)
    return OpenCVConfig(index_or_path=str(video), **settings)


def test_cameras_that_deliver_badly(
    tmp_path: Path, healthy: Facts, lively: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cameras, "LOOK_S", 1.0)
    chance = np.random.default_rng(1)
    noise = chance.integers(40, 216, (30, 96, 128, 3), np.uint8)
    for number, image in enumerate(noise):  # without the loss of a JPEG, which may add colour
        grey = np.repeat(image[..., :1], 3, axis=2)
        cv2.imwrite(str(tmp_path / f"grey{number:03d}.png"), grey)
    configs = {
        "well": OpenCVConfig(index_or_path=str(lively), detect_freeze=True),
        "dark": camera(tmp_path, "dark", noise // 32),
        "bright": camera(tmp_path, "bright", 255 - noise // 32),
        "grey": OpenCVConfig(index_or_path=str(tmp_path / "grey%03d.png")),
        "frozen": camera(tmp_path, "frozen", noise[:1].repeat(30, 0), detect_freeze=True),
        "absent": OpenCVConfig(index_or_path=str(tmp_path / "none.avi")),
        "small": OpenCVConfig(index_or_path=str(lively), width=640, height=480),
    }
    found = cameras.look_at(configs)
    rows = [row for row in judge(replace(healthy, cameras=found)) if row.check == "camera"]
    problems = {
        row.name.split()[1]: row.finding.problem for row in rows if isinstance(row.finding, Trouble)
    }
    assert problems == {
        "dark": camera_checks.TOO_DARK,
        "bright": camera_checks.TOO_BRIGHT,
        "grey": camera_checks.GREY["file"],
        "absent": camera_checks.NOT_OPENED,
        "small": camera_checks.NOT_OPENED,
        "frozen": camera_checks.FROZEN,
    }
    assert found[0].look is not None
    assert found[0].look.fps == pytest.approx(30, rel=0.3)


def test_a_device_that_is_not_there_or_held(tmp_path: Path) -> None:
    process(tmp_path, 7, "cheese", "/dev/zero")
    for path, held in (("/dev/video-of-a-test", []), ("/dev/zero", ["cheese (pid 7)"])):
        (found,) = cameras.look_at({"top": OpenCVConfig(index_or_path=path)}, tmp_path)
        assert found.look is None
        assert [str(holder) for holder in found.holders] == held
        assert "no such device" in found.error or held


LOOK = """
import json, sys
from actd.cameras.config import OpenCVConfig
from actd.doctor.cameras import look_at
from actd.doctor.checks.cameras import CHECKS
from actd.doctor.computer import read_computer
from actd.doctor.facts import Deployment, Facts
from pathlib import Path
from actd.config import load
cameras = {path: OpenCVConfig(index_or_path=path, fps=30) for path in sys.argv[2:]}
deployment = Deployment("actd.yaml", load(Path(sys.argv[1])))
facts = Facts(read_computer(), deployment, cameras=look_at(cameras))
print(json.dumps([[f.subject, f.outcome, f.found] for f in CHECKS[0].judge(facts)]))
"""


def test_devices_through_the_kernels_calls(fake_v4l2: FakeV4L2, config: Path) -> None:
    fake_v4l2.add(numbered(37, 640, 480))
    busy = fake_v4l2.add(numbered(1), state="busy")
    with busy.open():  # ourselves, whom the process that looks is not
        done = fake_v4l2.run("-c", LOOK, str(config), "/dev/video0", "/dev/video1")
    assert done.returncode == 0, done.stderr
    *still, held = json.loads(done.stdout)  # a busy computer may find it slow too
    (frozen,) = (found for subject, outcome, found in still if outcome == "failure")
    assert frozen.startswith("the same image for ")
    assert held[:2] == ["/dev/video1", "failure"]
    assert f"(pid {os.getpid()})" in held[2]


def test_the_usb_port_of_a_device(tmp_path: Path) -> None:
    device = tmp_path / "sys/devices/pci0000:00/0000:00:14.0/usb3/3-4"
    interface = device / "3-4:1.0"
    interface.mkdir(parents=True)
    (device / "speed").write_text("480\n")
    (device.parent / "speed").write_text("10000\n")
    node = tmp_path / "sys/class/video4linux/video0"
    node.mkdir(parents=True)
    (node / "device").symlink_to(interface)
    port = cameras.usb_port("/dev/video0", tmp_path)
    assert port is not None
    assert (port.bus, port.device, port.mbit_s) == ("usb3", "3-4", 480.0)
    assert cameras.usb_port("/dev/video1", tmp_path) is None


def test_joints_that_the_controller_names_otherwise(config: Path, ports: Ports) -> None:
    values = dict.fromkeys(JOINTS, 0.0)
    with sending(ports, {f"joint_{number}": 0.0 for number in range(14)}):
        problem, found, _ = only(troubles_of(config))
    assert problem is robot_checks.REFUSED
    assert "j0, j1, j2, j3, … missing; they name joint_0" in f"{found}; {_}"
    with sending(ports, values, name="another"):
        problem, found, _ = only(troubles_of(config))
    assert "they are of robot 'another'" in found
    with sending(ports, dict.fromkeys(JOINTS, 900.0)):
        assert only(troubles_of(config))[0] is robot_checks.REFUSED
    with sending(ports, values):
        assert troubles_of(config) == {}


def test_a_state_that_training_never_saw(config: Path, own_engine: Path, ports: Ports) -> None:
    data = json.loads((own_engine / MANIFEST).read_text())
    ranges = {"min": [-1.0] * 14, "max": [1.0] * 14}
    data["spec"]["statistics"] = {"observation.state": ranges}
    (own_engine / MANIFEST).write_text(json.dumps(data))
    with sending(ports, dict.fromkeys(JOINTS, 0.0) | {"j3": 9.0}):
        troubles = troubles_of(config)
    seen = troubles.pop("statistics")
    assert seen.problem is robot_checks.UNLIKE
    assert "j3 is 9, training never left -1 to 1" in seen.found
    with sending(ports, dict.fromkeys(JOINTS, 0.5)):
        assert "statistics" not in troubles_of(config)


def test_loops_are_timed_while_the_engine_computes(config: Path) -> None:
    settings = read_deployment(config).config
    loops = measure_loops(settings, 0.5, infer=True)
    assert loops.tick.n == loops.bare.n == 25
    assert loops.inferring
    assert loops.tick.max_ms >= loops.tick.p50_ms > 0
    assert loops.granted["wish"] == "prefer"


def test_an_engine_that_dies_is_said(config: Path, own_engine: Path) -> None:
    settings = read_deployment(config).config
    (own_engine / "model.onnx").write_bytes(b"x")
    with pytest.raises(Exception, match=r"a process of the measurement ended: .*model.onnx"):
        measure_loops(settings, 0.1, infer=True)


def test_a_loop_that_wants_nothing_asks_for_nothing() -> None:
    job = LoopJob(100.0, 0.1, now_ns() + 10_000_000, None, 0, ())
    result = run_loop(job)
    assert result.granted == {}
    assert result.lateness.n == 10


def test_a_running_daemon_is_asked_and_not_disturbed(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "TICK_MODULE", TICK_MODULE)
    facts = gather(daemon.config, seconds=10)
    assert facts.daemon is not None
    assert facts.loops is None
    assert facts.cameras == ()
    assert facts.engine is not None
    assert facts.engine.parity is None
    assert str(daemon.child("control_loop").pid) in facts.unmeasured
    rows = {row.name: row for row in judge(facts)}
    assert rows["robot state"].finding.outcome == "warning"
    assert isinstance(rows["robot state"].finding, Trouble)
    assert rows["robot state"].finding.problem is robot_checks.SILENT
    assert {rows[f"camera {name}"].finding.outcome for name in ("cam_high", "cam_low")} == {"ok"}
    assert rows["reference"].finding.outcome == "not applicable"
    with sending(daemon.ports, dict.fromkeys(JOINTS, 0.0)):
        rows = {row.name: row for row in judge(gather(daemon.config))}
        for _ in range(20):
            if rows["robot state"].finding.outcome == "ok":
                break
            rows = {row.name: row for row in judge(gather(daemon.config))}
    assert rows["robot state"].finding.outcome == "ok"
    # Another deployment's doctor leaves this daemon's arm alone too.
    assert "a daemon runs here" in gather(None).unmeasured
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        ports = [row.finding for row in judge(gather(daemon.config)) if row.check == "ports"]
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    assert [isinstance(p, Trouble) and p.problem for p in ports] == [deployment.DAEMON_HANGS]


__all__ = ["daemon", "video"]
