"""`actd top` before a real daemon, its keys pressed by textual's pilot."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from textual.pilot import Pilot
from textual.widgets import Static

from actd.client import Robot
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.messages import Action
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.top.app import Top
from actd.top.watch import Watch
from tests.background import repeated
from tests.ports import HOST, link_section
from tests.runtime.conftest import JOINTS, ROBOT, Arm, Daemon, daemon, video

__all__ = ["daemon", "video"]

Work = Callable[[Top, Pilot[None]], Awaitable[None]]


def on_screen(ports: Ports, work: Work, *, robot: str = ROBOT, size: tuple[int, int]) -> None:
    """`work` with the screen open."""

    async def run() -> None:
        with Watch(HOST, ports, robot) as watch:
            app = Top(watch)
            async with app.run_test(size=size) as pilot:
                await work(app, pilot)

    asyncio.run(run())


def shown(app: Top, *names: str) -> str:
    """The characters of these parts of the screen."""
    lines = []
    for name in names:
        part = app.query_one(f"#{name}", Static)
        lines += [strip.text for strip in (part.render_line(y) for y in range(part.size.height))]
    return "\n".join(lines)


async def until(condition: Callable[[], object], what: str, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        await asyncio.sleep(0.05)


def test_it_shows_what_is_on_the_wire_and_its_keys_hold_and_stop(daemon: Daemon) -> None:
    async def work(app: Top, pilot: Pilot[None]) -> None:
        await until(lambda: f"{ROBOT}  IDLE" in shown(app, "head"), "IDLE")
        await until(lambda: armed(daemon), "the daemon to arm", 20)
        await until(lambda: f"{ROBOT}  ARMED" in shown(app, "head"), "ARMED")
        await until(lambda: "cam_high" in shown(app, "cameras"), "the cameras")
        await asyncio.sleep(1.2)
        assert " of 50 Hz" in shown(app, "condition")
        assert "20000  us" in shown(app, "timing")
        measured = positions[JOINTS.index("j13")]
        row = next(line for line in shown(app, "joints").splitlines() if "j13" in line)
        assert float(row.split()[2]) == pytest.approx(measured, abs=0.5)
        await pilot.press("h")
        await until(lambda: f"{ROBOT}  HOLD" in shown(app, "head"), "HOLD")
        assert "operator: hold" in shown(app, "head")
        assert mode_in_status(daemon) is Mode.HOLD
        await pilot.press("s")
        await until(lambda: mode_in_status(daemon) is Mode.STOP, "STOP in the daemon's status")
        await until(lambda: f"{ROBOT}  STOP" in shown(app, "head"), "STOP")
        await until(lambda: "stop: done" in shown(app, "events"), "what came of it")
        events = shown(app, "events")
        places = [events.index(text) for text in ("STOP: operator: stop", "HOLD: operator: hold",
                                                  "ARMED", "IDLE")]  # fmt: skip
        assert places == sorted(places)  # the newest first

    with arm_process(daemon.ports) as positions:
        on_screen(daemon.ports, work, size=(120, 60))


@contextmanager
def arm_process(ports: Ports) -> Iterator[Sequence[float]]:
    """An arm in a process of its own, for drawing a screen keeps this one from answering in time.

    Its joints' positions in the order of JOINTS.
    """
    context = multiprocessing.get_context("spawn")
    positions = context.Array("d", len(JOINTS))
    process = context.Process(target=follow, args=(ports, positions), daemon=True)
    process.start()
    try:
        yield positions.get_obj()
    finally:
        process.kill()
        process.join()
        process.close()


def follow(ports: Ports, positions: Any) -> None:
    with Robot(ROBOT, ports=ports) as robot:
        arm = Arm(robot)
        while True:
            arm.cycle(0.1)
            positions[:] = list(arm.positions.values())


def mode_in_status(daemon: Daemon) -> Mode:
    with daemon.operator() as operator:
        return Mode[operator.status()["mode"]]


def armed(daemon: Daemon) -> bool:
    with daemon.operator() as operator:
        try:
            operator.arm()
        except LinkError:
            return False
        return True


def test_a_daemon_that_is_gone_is_seen_at_once_and_one_that_comes_too(daemon: Daemon) -> None:
    async def work(app: Top, pilot: Pilot[None]) -> None:
        await until(lambda: f"{ROBOT}  IDLE" in shown(app, "head"), "IDLE")
        daemon.process.send_signal(signal.SIGSTOP)
        for process in daemon.processes:
            process.suspend()
        begin = time.monotonic()
        await until(lambda: "NO LINK" in shown(app, "head"), "the loss to be seen")
        assert time.monotonic() - begin < 2.5
        head = shown(app, "head")
        assert "?" in head
        assert "IDLE" not in head
        assert "hardware stop" in head
        await pilot.press("s")
        await until(lambda: "stop: NOT DONE" in shown(app, "events"), "that it was not obeyed")
        for process in daemon.processes:
            process.resume()
        daemon.process.send_signal(signal.SIGCONT)
        await until(lambda: "NO LINK" not in shown(app, "head"), "it to come back")
        assert "actions come again" in shown(app, "events")

    on_screen(daemon.ports, work, size=(120, 60))


@pytest.mark.parametrize("size", [(120, 40), (60, 24), (30, 10), (12, 4)])
def test_a_narrow_terminal_has_the_head_and_the_rest_below(
    ports: Ports, size: tuple[int, int]
) -> None:
    async def work(app: Top, pilot: Pilot[None]) -> None:
        await pilot.pause()
        head = app.query_one("#head")
        assert head.region.y == 0
        assert 0 < head.region.height <= 5
        assert app.screen.has_class("-wide" if size[0] >= 100 else "-narrow")
        sides = {app.query_one(f"#{name}").region.x for name in ("condition", "joints")}
        assert len(sides) == (2 if size[0] >= 100 else 1)

    on_screen(ports, work, size=size)


@pytest.mark.slow
def test_it_goes_on_looking_while_the_screen_is_taken_down(ports: Ports) -> None:
    async def work(app: Top, _: Pilot[None]) -> None:
        app.set_interval(0.001, app._look)
        await asyncio.sleep(0.1)

    for _ in range(3):
        on_screen(ports, work, size=(120, 40))


IDLE_ACTION = Action(
    robot=ROBOT,
    boot="boot-1",
    clock="",
    seq=1,
    t=1.0,
    t_boot_ns=1,
    ttl_ms=100.0,
    mode=Mode.IDLE,
    action={},
    rest={},
    rest_ms=0.0,
    chunk=0,
    age_ms=-1.0,
    n=0,
    infer_ms=0.0,
    late_us=35.0,
    flags=0,
)


@contextmanager
def saying(ports: Ports, *, action: bytes, status: dict[str, Any]) -> Iterator[None]:
    """Somebody on a daemon's ports."""
    with zmq.Context() as context:
        publisher = sockets.publisher(context, sockets.endpoint(HOST, ports.actions))
        server = sockets.request_server(context, sockets.endpoint(HOST, ports.status))

        def speak() -> None:
            publisher.send(action, zmq.DONTWAIT)
            if server.poll(20):
                *route, _ = server.recv_multipart()
                server.send_multipart([*route, messages.pack_map({"ok": True, **status})])

        with publisher, server, repeated(speak):
            yield


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (messages.pack_action(replace(IDLE_ACTION, robot="other")), "these are other's actions"),
        (b"\x00", "actions: expected a msgpack map"),
        (messages.pack_map({"v": 2}), "actions: schema version 2; this end speaks v1"),
    ],
)
def test_what_cannot_be_used_is_no_link_and_is_said(
    ports: Ports, action: bytes, complaint: str
) -> None:
    async def work(app: Top, _: Pilot[None]) -> None:
        await until(lambda: complaint in shown(app, "head"), "the complaint")
        assert "NO LINK" in shown(app, "head")
        assert "IDLE" not in shown(app, "head")

    with saying(ports, action=action, status={}):
        on_screen(ports, work, size=(200, 40))


def test_the_status_of_another_version_costs_its_own_part_only(ports: Ports) -> None:
    async def work(app: Top, _: Pilot[None]) -> None:
        await until(lambda: "none that this actd knows" in shown(app, "head"), "the complaint")
        await until(lambda: f"{ROBOT}  IDLE" in shown(app, "head"), "an action")
        assert "no answer" in shown(app, "condition")

    action = messages.pack_action(IDLE_ACTION)
    status = {"robot": ROBOT, "cameras": {}, "state_rejected": "none"}
    with saying(ports, action=action, status=status):
        on_screen(ports, work, size=(200, 40))


def start_top(folder: Path, ports: Ports, **options: Any) -> subprocess.Popen[bytes]:
    config = folder / "actd.yaml"
    config.write_text(f"robot: {{name: {ROBOT}}}\n{link_section(ports)}\n")
    command = [sys.executable, "-m", "actd", "top", "--config", str(config)]
    return subprocess.Popen(command, **options)


def test_without_a_terminal_it_is_one_line(ports: Ports, tmp_path: Path) -> None:
    process = start_top(
        tmp_path, ports, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, error = process.communicate(timeout=20)
    assert process.returncode == 2
    assert output == b""
    assert error.count(b"\n") == 1
    assert b"needs a terminal; for scripts" in error


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x03", 130)])
def test_q_and_ctrl_c_leave_and_give_the_terminal_back(
    ports: Ports, tmp_path: Path, key: bytes, code: int
) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "NO_COLOR": "1"}
    process = start_top(
        tmp_path, ports, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    try:
        seen = read_until(ours, b"NO LINK")
        os.write(ours, key)
        seen += read_until(ours, b"\x1b[?1049l")  # back from the alternate screen
        assert process.wait(10) == code
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"Traceback" not in seen
    colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", seen)
    assert all(red == green == blue for red, green, blue in colours)  # NO_COLOR


def read_until(terminal: int, mark: bytes, timeout_s: float = 20) -> bytes:
    seen, deadline = b"", time.monotonic() + timeout_s
    while mark not in seen:
        left_s = deadline - time.monotonic()
        assert left_s > 0, seen[-2000:]
        if select.select([terminal], [], [], left_s)[0]:
            seen += os.read(terminal, 65536)
    return seen
