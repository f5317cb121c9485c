"""The demo's parts that need no simulator: deployment, policy, attempts, report."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from actd import config
from actd.demo import deployment, report, run
from actd.demo.attempts import ATTEMPT_S, FAULTS_MAX, REST_S, Attempts
from actd.demo.policy import find_policy
from actd.engine.manifest import read_manifest
from actd.errors import ActdError, LinkError
from actd.link.sockets import Ports
from actd.sim.aloha import JOINTS
from actd.sim.scene import BAR, SCENES
from tests.engines import policy_spec, write_waving_engine

STATUS: dict[str, Any] = {
    "ok": True,
    "mode": "ARMED",
    "ready": True,
    "control": {
        "target_hz": 50,
        "rate_hz": 49.99,
        "ticks": 250,
        "missed": 0,
        "underruns": 1,
        "lateness_us": {"p50": 50.0, "p99": 90.0, "p999": 110.0, "max": 120.0},
        "mode_counts": {"IDLE": 0, "ARMED": 250},
        "chunk_age_ms": {"p50": 60.0, "p99": 90.0},
    },
    "inference": {
        "engine": "ort-int8",
        "chunks": 99,
        "ms": {"p50": 20.0, "p99": 30.0},
        "state": "running",
    },
    "cameras": {"cam_high": {"fps": 30.0, "drops": 2, "age_ms": 12.0, "state": "ok"}},
}


def write(path: Path, **changes: Any) -> config.Config:
    cameras = {name: f"http://127.0.0.1:9/{name}" for name in ("left", "right", "wrist")}
    arguments: dict[str, Any] = {
        "engine": path.parent / "engine",
        "policy_hz": 30.0,
        "cameras": cameras,
        "size": (48, 64),
        "fps": 10,
        "flights": path.parent / "flights",
        "ports": Ports(20001, 20002, 20003, 20004),
        "chunk_mode": None,
        "realtime": "off",
    }
    deployment.write(path, **(arguments | changes))
    return config.load(path)


def test_the_deployment_is_the_packaged_one_with_this_runs_addresses(tmp_path: Path) -> None:
    written = write(tmp_path / "actd.yaml", chunk_mode="latest")
    assert list(written.robot.joints) == list(JOINTS)
    assert written.link.ports == Ports(20001, 20002, 20003, 20004)
    assert written.control.mode == "latest"
    assert written.process.realtime == "off"
    assert written.engine == tmp_path / "engine"
    assert written.flight.folder == tmp_path / "flights"
    assert written.control.policy_hz == 30
    assert set(written.cameras) == {"left", "right", "wrist"}
    for name, camera in written.cameras.items():
        assert camera.index_or_path == f"http://127.0.0.1:9/{name}"
        assert (camera.width, camera.height) == (64, 48)
        assert camera.fps == 10


def test_ports_in_use_are_replaced_and_all_differ() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", Ports().actions))
            taken.listen()
        except OSError:
            pass  # someone else has it: taken all the same
        ports = deployment.free_ports()
    numbers = {ports.state, ports.actions, ports.status, ports.control}
    assert len(numbers) == 4
    assert ports.actions != Ports().actions


def test_the_demos_own_policy_ships_and_fits_its_table() -> None:
    policy = find_policy(None, lambda line: None)
    assert (policy.scene, policy.hz) == ("bar", BAR.hz)
    assert read_manifest(policy.engine).size_bytes < 20e6


def test_a_policy_plays_at_its_rate_where_its_cameras_are(tmp_path: Path) -> None:
    cube = SCENES["cube"]
    spec = policy_spec(14, dict.fromkeys(cube.cameras, (cube.height, cube.width)), 50)
    engine = write_waving_engine(tmp_path / "engine", spec)
    policy = find_policy(str(engine), lambda line: None)
    assert (policy.engine, policy.scene, policy.hz) == (engine, "cube", cube.hz)


@pytest.mark.parametrize(
    ("joints", "size", "words"),
    [
        (7, (480, 640), "7 joints; the demo's arms have 14"),
        (14, (240, 320), "trained with top 240x320; the demo has .* or top 480x640"),
    ],
)
def test_a_policy_for_another_robot_is_refused(
    joints: int, size: tuple[int, int], words: str, tmp_path: Path
) -> None:
    engine = write_waving_engine(tmp_path / "engine", policy_spec(joints, {"top": size}, 50))
    with pytest.raises(ActdError, match=words):
        find_policy(str(engine), lambda line: None)


def test_what_is_neither_engine_nor_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ActdError, match=r"no config\.json here"):
        find_policy(str(tmp_path), lambda line: None)


def test_of_a_folder_of_engines_one_must_be_given(tmp_path: Path) -> None:
    write_waving_engine(tmp_path / "mine", policy_spec(14, {"top": (480, 640)}, 50))
    with pytest.raises(ActdError, match="engines inside: mine; give one of them"):
        find_policy(str(tmp_path), lambda line: None)


Seen = tuple[str, str, int, float]
"""Mode, stage, successes, seconds."""


def orders(*seen: Seen) -> list[str | None]:
    attempts = Attempts()
    return [attempts.next_order(mode, "why", stage, n, t_s) for mode, stage, n, t_s in seen]


def test_a_done_task_is_held_released_and_tried_again() -> None:
    assert orders(
        ("IDLE", "home", 0, 0.0),
        ("ARMED", "working", 0, 0.1),
        ("ARMED", "done", 1, 4.0),
        ("HOLD", "done", 1, 4.1),
        ("HOLD", "done", 1, 4.2 + REST_S),
        ("IDLE", "returning", 1, 5.0),
        ("IDLE", "home", 1, 7.0),
    ) == ["arm", None, "hold", None, "reset", None, "arm"]


def test_an_attempt_that_takes_too_long_is_given_up() -> None:
    assert orders(
        ("ARMED", "working", 0, 1.0),
        ("ARMED", "working", 0, 0.9 + ATTEMPT_S),
        ("ARMED", "working", 0, 1.1 + ATTEMPT_S),
    ) == [None, None, "hold"]


def test_a_gap_ends_by_itself() -> None:
    assert (
        orders(
            ("ARMED", "working", 0, 1.0),
            ("HOLD", "working", 0, 2.0),
            ("HOLD", "working", 0, 2.1 + REST_S),
            ("ARMED", "working", 0, 3.0),
        )
        == [None] * 4
    )


def test_what_another_operator_orders_is_not_undone() -> None:
    attempts = Attempts()
    assert attempts.next_order("ARMED", "", "working", 0, 1.0) is None
    for mode, word in (("HOLD", "hold"), ("STOP", "stop")):
        for later_s in (0.0, 5.0):
            reason = f"operator: {word}"
            assert attempts.next_order(mode, reason, "working", 0, 2.0 + later_s) is None
            assert attempts.interrupted == reason
    assert attempts.next_order("IDLE", "", "home", 0, 9.0) == "arm"
    assert (attempts.interrupted, attempts.faults) == ("", 0)
    # Its own hold says the same.
    assert attempts.next_order("ARMED", "", "done", 1, 10.0) == "hold"
    assert attempts.next_order("HOLD", "operator: hold", "done", 1, 10.1) is None
    assert attempts.next_order("HOLD", "operator: hold", "done", 1, 10.2 + REST_S) == "reset"


def test_faults_are_reset_but_not_for_ever() -> None:
    attempts = Attempts()
    for number in range(FAULTS_MAX):
        assert not attempts.is_over
        start_s = 10.0 * number
        attempts.next_order("ARMED", "", "working", 0, start_s)
        assert attempts.next_order("FAULT", "blocked", "working", 0, start_s + 1) is None
        assert attempts.next_order("FAULT", "blocked", "working", 0, start_s + 1.1 + REST_S) == (
            "reset"
        )
    assert attempts.is_over
    assert (attempts.faults, attempts.reason) == (FAULTS_MAX, "blocked")
    attempts.next_order("ARMED", "", "done", 1, 99.0)
    assert not attempts.is_over, "the arms do their task again"


def test_the_line_and_the_table_show_the_figures() -> None:
    line = report.line(STATUS)
    for part in ("ARMED", "49.99/50 Hz", "late p99 90 us", "infer 20 ms", "chunk 60 ms", "fps 30"):
        assert part in line
    result = report.result(STATUS) | {"successes": 11, "attempts": 12, "faults": 0}
    console = Console(width=120)
    with console.capture() as capture:
        console.print(report.table(result))
    text = capture.get()
    for part in (
        "11 of 12 attempts done, 0 faults",
        "250, missed 0",
        "p99.9 110",
        "99 chunks",
        "30.0 fps, 2 drops",
    ):
        assert part in text


def test_a_daemon_that_has_not_ticked_yet_can_be_shown() -> None:
    empty = {"ok": True, "mode": "IDLE", "ready": False, "control": {"rate_hz": None}}
    assert "IDLE" in report.line(empty)
    result = report.result(empty) | {"successes": 0, "attempts": 0, "faults": 0}
    assert report.table(result).row_count > 0


@pytest.mark.parametrize(
    ("changes", "waiting"),
    [
        ({"inference": {"state": "loading"}}, "engine loading"),
        ({"cameras": {"cam_low": {"state": "opening"}}}, "cam_low opening"),
        ({}, "the robot's state"),
    ],
)
def test_what_it_waits_for_is_said(changes: dict[str, Any], waiting: str) -> None:
    assert report.waiting_for(STATUS | changes) == waiting


def test_a_refusal_to_arm_is_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def status(self) -> dict[str, Any]:
            return STATUS | {"ready": True, "control": {"mode_counts": {}}}

        def arm(self) -> None:
            raise LinkError("arm refused: joint elbow: the policy's first command is far away")

    class Screen:
        def show(self, text: str) -> None:
            pass

    monkeypatch.setattr(run, "READY_S", 0.2)
    drive = run.Drive(
        cast("Any", Refusing()), cast("Any", None), lambda: None, cast("Any", Screen())
    )
    with pytest.raises(ActdError, match="arm refused: joint elbow"):
        drive.until_armed()
