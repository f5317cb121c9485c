"""The demo's parts that need no simulator: deployment, engine cache, report."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from actd import config
from actd.demo import deployment, engine, report, run
from actd.errors import ActdError, LinkError
from actd.link.sockets import Ports
from actd.sim.aloha import CAMERAS, HEIGHT, JOINTS, WIDTH

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
    cameras = {name: f"http://127.0.0.1:9/{name}" for name in CAMERAS}
    arguments: dict[str, Any] = {
        "engine": path.parent / "engine",
        "cameras": cameras,
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
    for name, camera in written.cameras.items():
        assert camera.index_or_path == f"http://127.0.0.1:9/{name}"
        assert (camera.width, camera.height) == (WIDTH, HEIGHT)


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


def test_a_cached_engine_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = engine.cache_folder() / engine.ENGINE
    assert folder.is_relative_to(tmp_path / "actd" / "demo")
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()
    said: list[str] = []
    assert engine.find_or_build(said.append) == folder
    assert said == []


def test_what_the_first_run_lacks_is_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "NEEDED", {"no_such_torch": "export", "no_such_mujoco": "demo"})
    with pytest.raises(ActdError, match=r"no_such_torch.*pip install 'actd\[demo,export\]'"):
        engine.find_or_build(lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_the_line_and_the_table_show_the_figures() -> None:
    line = report.line(STATUS)
    for part in ("ARMED", "49.99/50 Hz", "late p99 90 us", "infer 20 ms", "chunk 60 ms", "fps 30"):
        assert part in line
    console = Console(width=120)
    with console.capture() as capture:
        console.print(report.table(report.result(STATUS)))
    text = capture.get()
    for part in ("250, missed 0", "p99.9 110", "99 chunks", "30.0 fps, 2 drops"):
        assert part in text


def test_a_daemon_that_has_not_ticked_yet_can_be_shown() -> None:
    empty = {"ok": True, "mode": "IDLE", "ready": False, "control": {"rate_hz": None}}
    assert "IDLE" in report.line(empty)
    assert report.table(report.result(empty)).row_count > 0


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
            return STATUS | {"ready": True}

        def arm(self) -> None:
            raise LinkError("arm refused: joint elbow: the policy's first command is far away")

    class Screen:
        def show(self, text: str) -> None:
            pass

    monkeypatch.setattr(run, "READY_S", 0.2)
    with pytest.raises(ActdError, match="arm refused: joint elbow"):
        run._arm(cast("Any", Refusing()), lambda: None, cast("Any", Screen()))
