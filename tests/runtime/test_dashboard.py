"""The operator's page of a real daemon, over HTTP and in a real browser."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from actd.link.sockets import Ports
from actd.mode import Mode
from tests.background import repeated
from tests.chromium import CHROMIUM, Tab, opened
from tests.ports import free_ports
from tests.runtime.conftest import Arm, Daemon, running, start, wait_until, write_config
from tests.runtime.test_takeover import LedArm
from tests.videos import write_video

RED_BGR = (40, 60, 200)
browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium; scripts/system-deps installs it")


class Site:
    """The page's addresses."""

    def __init__(self, daemon: Daemon, port: int) -> None:
        self.daemon = daemon
        self.address = f"http://127.0.0.1:{port}/"

    def get(self, path: str) -> tuple[bytes, Any]:
        with urllib.request.urlopen(self.address + path, timeout=5) as answer:
            return answer.read(), answer.headers

    def json(self, path: str) -> Any:
        return json.loads(self.get(path)[0])

    def order(self, command: str, page: str = "test") -> dict[str, Any]:
        body = json.dumps({"command": command, "page": page}).encode()
        request = urllib.request.Request(f"{self.address}order", body, {"X-Actd": "1"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        return found

    def answers(self) -> bool:
        try:
            return bool(self.json("healthz")["ok"])
        except OSError:
            return False


@pytest.fixture
def site(tmp_path: Path, small_engine: Path, video: Path, ports: Ports) -> Iterator[Site]:
    red = np.full((96, 128, 3), RED_BGR, np.uint8)
    reds = write_video(tmp_path / "red.avi", [red, red + 1] * 15)
    port = free_ports().state
    extra = f"dashboard: {{enabled: true, port: {port}}}"
    sources = {"cam_high": str(reds), "cam_low": str(video)}
    with running(write_config(tmp_path, small_engine, ports, sources, extra), ports) as daemon:
        subject = Site(daemon, port)
        wait_until(subject.answers, "the page", 30)
        yield subject


@contextmanager
def followed(daemon: Daemon, kind: type[Arm] = Arm) -> Iterator[Arm]:
    """An arm that follows in the background."""
    with daemon.robot() as robot:
        arm = kind(robot)
        with repeated(lambda: arm.cycle(0.1)):
            yield arm


def mode_on_the_wire(arm: Arm) -> Mode | None:
    return arm.received[-1].mode if arm.received else None


def test_the_page_shows_and_orders_what_happens_on_the_wire(site: Site) -> None:
    refused = site.order("take") and site.order("arm")
    assert not refused["ok"]
    assert any("robot state has not delivered" in reason for reason in refused["errors"])
    with followed(site.daemon) as arm:
        wait_until(lambda: site.order("arm")["ok"], "the page to arm", 20)
        wait_until(lambda: mode_on_the_wire(arm) is Mode.ARMED, "ARMED on the wire")
        time.sleep(1.0)
        live = site.json("live.json?page=test")
        assert (live["mode"], live["operator"], live["robot"]) == ("ARMED", "you", "test-robot")
        joint = live["joints"][0]
        assert joint["name"] == "j0"
        assert joint["command"] == pytest.approx(arm.positions["j0"], abs=0.2)
        assert joint["measured"] == pytest.approx(arm.positions["j0"], abs=0.2)
        assert len(joint["ahead"]) > 5
        assert site.order("hold", "someone else")["ok"]
        wait_until(lambda: mode_on_the_wire(arm) is Mode.HOLD, "HOLD on the wire")
        assert site.order("stop", "someone else")["ok"]
        wait_until(lambda: mode_on_the_wire(arm) is Mode.STOP, "STOP on the wire")
    wait_until(
        lambda: (
            [each["mode"] for each in site.json("history.json")["changes"]]
            == ["IDLE", "ARMED", "HOLD", "STOP"]
        ),
        "the page to know what happened",
    )
    changes = site.json("history.json")["changes"]
    assert changes[2]["reason"] == "operator: hold"
    _a_tick_is_shown_with_what_was_seen(site, changes[1]["tick"])
    metrics = site.get("metrics")[0].decode()
    assert 'actd_mode{mode="STOP"} 1.0' in metrics
    assert 'actd_camera_rate_hertz{camera="cam_high"}' in metrics


def _a_tick_is_shown_with_what_was_seen(site: Site, armed_at: int) -> None:
    found = site.json(f"tick/{armed_at + 20}.json")
    assert (found["number"], found["mode"]) == (armed_at + 20, "ARMED")
    assert [joint["name"] for joint in found["joints"]][:2] == ["j0", "j1"]
    assert abs(found["joints"][0]["command"] - found["joints"][0]["measured"]) < 0.2
    body, _ = site.get(f"tick/{armed_at + 20}/cam_high.jpg")
    image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(image.mean(axis=(0, 1)) - RED_BGR).max() < 12
    with pytest.raises(urllib.error.HTTPError, match="404"):
        site.get("tick/999999999.json")
    assert site.order("keep", "someone else")["ok"]
    wait_until(lambda: site.json("status.json")["pictures"]["saved"], "the moment")


def test_a_picture_is_the_cameras_and_new(site: Site) -> None:
    body, headers = site.get("camera/cam_high.jpg")
    image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (96, 128, 3)
    assert np.abs(image.mean(axis=(0, 1)) - RED_BGR).max() < 12
    assert 0 <= int(headers["X-Age-Ms"]) < 1000


def test_values_say_where_they_come_from(site: Site) -> None:
    found = {each["key"]: (each["value"], each["origin"]) for each in site.json("config.json")}
    assert found["control.policy_hz"] == (50.0, "file")
    assert found["control.rate_hz"] == (50.0, "default")
    assert found["robot.joints.j0.velocity"] == (3.0, "file")
    assert found["cameras.cam_high.fps"][1] == "file"
    assert found["staleness.camera_ms"][1] == "default"


def test_ticks_do_not_need_the_page(site: Site) -> None:
    """Killed it comes back; the arm is driven on meanwhile."""
    with followed(site.daemon) as arm:
        site.order("take")
        wait_until(lambda: site.order("arm")["ok"], "the page to arm", 20)
        wait_until(lambda: mode_on_the_wire(arm) is Mode.ARMED, "ARMED on the wire")
        site.daemon.child("dashboard").send_signal(signal.SIGKILL)
        wait_until(lambda: not site.answers(), "the page to be gone")
        count = len(arm.received)
        wait_until(site.answers, "the page to be back", 30)
        assert {action.mode for action in arm.received[count:]} == {Mode.ARMED}
        assert site.json("live.json")["mode"] == "ARMED"


@pytest.mark.slow
def test_a_port_that_is_taken_costs_the_page_only(
    site: Site, tmp_path: Path, small_engine: Path, video: Path
) -> None:
    folder, ports = tmp_path / "second", free_ports()
    folder.mkdir()
    port = site.address.rstrip("/").rpartition(":")[2]
    sources = {"cam_high": str(video), "cam_low": str(video)}
    extra = f"dashboard: {{enabled: true, port: {port}}}"
    second = start(write_config(folder, small_engine, ports, sources, extra), ports)
    try:
        second.wait_ready()
        assert site.json("live.json")["robot"] == "test-robot"
    finally:
        code, output = second.end()
    assert code == 0
    ends = [line for line in output.splitlines() if "dashboard ended" in line]
    assert len(ends) == 1  # it is not tried again
    assert f"dashboard.port: {port} is in use; choose another one" in ends[0]


async def _look_at_a_tick(tab: Tab) -> None:
    await tab.until("document.querySelectorAll('#events a').length > 1", "events")
    # The newest is first, and the one before the last is that of arming.
    await tab.value("[...document.querySelectorAll('#events a')].at(-2).click()")
    shown = "document.getElementById('tick-text').textContent"
    await tab.until(f"{shown}.includes('ARMED')", "the tick of the event")
    number = await tab.value("tick")
    await tab.until(
        "[...document.querySelectorAll('#tick-pictures img')].filter(i => i.naturalWidth === 128)"
        ".length === 2",
        "what was seen then",
    )
    assert await tab.value("document.querySelectorAll('#tick-joints tr').length") == 15
    await tab.value("document.getElementById('before').click()")
    await tab.until(f"{shown}.includes('tick {number - 1}, ')", "the tick before")
    await tab.until(f"{shown}.includes('IDLE')", "its mode")
    # What is clicked below may not be a second from before the arming.
    await tab.until(f"seconds.length > 2 && seconds.at(-1).first_tick > {number}", "history")
    # At the far left nothing is recorded, and nothing changes.
    await tab.value("byId('strip').onclick({offsetX: 1})")
    assert await tab.value("tick") == number - 1
    await tab.value("byId('strip').onclick({offsetX: byId('strip').clientWidth - 0.1})")
    await tab.until(f"tick > {number - 1} && {shown}.includes('tick ' + tick)", "a second's tick")
    await tab.value("byId('keep').click()")
    await tab.until("byId('kept').textContent.startsWith('kept')", "the pictures to be kept")
    origins = "[...document.querySelectorAll('#config tr')].map(row => row.textContent)"
    assert await tab.value(f"{origins}.some(row => row.includes('line 1'))")


@browser
@pytest.mark.slow
def test_in_a_browser_hold_is_clicked_and_a_dead_daemon_is_seen(site: Site, tmp_path: Path) -> None:
    async def operate(arm: Arm) -> None:
        async with opened(site.address, tmp_path / "profile") as tab:
            await tab.until("document.getElementById('mode').textContent === 'IDLE'", "IDLE")
            await tab.value("document.getElementById('place').value = '7'")
            await tab.value("document.getElementById('episode-start').click()")
            await tab.until("document.getElementById('episode-start').hidden", "an open episode")
            await tab.value("document.getElementById('arm').click()")
            await tab.until("document.getElementById('mode').textContent === 'ARMED'", "ARMED")
            await tab.until(
                "document.getElementById('operator').textContent === 'you operate'", "its lease"
            )
            assert mode_on_the_wire(arm) is Mode.ARMED
            episode = "document.getElementById('episode').textContent"
            await tab.until(f"/^Episode 1 at place 7 is open: [0-9.]+ s/.test({episode})", "it")
            await tab.value("document.getElementById('episode-success').click()")
            await tab.until(f"/^Episode 1 at place 7: success/.test({episode})", "its score")
            rate = await tab.value("document.getElementById('rate').textContent")
            assert rate.startswith("1 of 1 succeeded: 100 %")
            await tab.until(
                "[...document.querySelectorAll('#cameras img')].length === 2 && "
                "[...document.querySelectorAll('#cameras img')].every(i => i.naturalWidth === 128)",
                "both pictures",
            )
            assert await tab.value("document.querySelectorAll('#joints figure').length") == 14
            assert await tab.value("document.querySelectorAll('figure.old').length") == 0
            assert "command" in await tab.value("document.querySelector('#joints span').innerText")
            await _look_at_a_tick(tab)
            await tab.value("document.getElementById('hold').click()")
            await tab.until("document.getElementById('mode').textContent === 'HOLD'", "HOLD")
            assert mode_on_the_wire(arm) is Mode.HOLD
            await tab.press(" ", "Space")  # it holds already: the key stops
            await tab.until("document.getElementById('mode').textContent === 'STOP'", "STOP")
            await tab.value("document.getElementById('arm').click()")
            await tab.until("!document.getElementById('refusal').hidden", "the refusal")
            assert "reset" in await tab.value("document.getElementById('refusal').innerText")
            for process in site.daemon.processes:
                process.kill()
            site.daemon.process.kill()
            await tab.until("document.body.classList.contains('lost')", "the loss to be seen", 5)
            assert "hardware stop" in await tab.value("document.getElementById('lost').innerText")
            assert await tab.value("document.getElementById('mode').textContent") == "?"
            await tab.until(
                "document.querySelectorAll('figure.old').length === 2", "old pictures", 5
            )

    with followed(site.daemon) as arm:
        wait_until(lambda: mode_on_the_wire(arm) is Mode.IDLE, "the arm to be heard")
        asyncio.run(operate(arm))


@browser
@pytest.mark.slow
def test_in_a_browser_a_leader_takes_over_and_gives_back(site: Site, tmp_path: Path) -> None:
    mode = "document.getElementById('mode').textContent"
    hidden = "document.getElementById('takeover').hidden"

    async def operate() -> None:
        async with opened(site.address, tmp_path / "profile") as tab:
            await tab.until(f"{mode} === 'IDLE' && {hidden}", "IDLE without a leader")
            with followed(site.daemon, LedArm):
                await asyncio.to_thread(wait_until, lambda: site.order("arm")["ok"], "ARMED", 20)
                await tab.value("order('take')")
                await tab.until(f"{mode} === 'ARMED' && !{hidden}", "the leader")
                await tab.value("document.getElementById('takeover').click()")
                await tab.until(f"{mode} === 'TAKEOVER' && {hidden}", "TAKEOVER")
                arm = "document.getElementById('arm')"
                assert await tab.value(f"{arm}.textContent") == "Arm: give back"
                await tab.value(f"{arm}.click()")
                await tab.until(f"{mode} === 'ARMED' && {arm}.textContent === 'Arm'", "ARMED")
            await tab.until(hidden, "the leader's loss")

    site.order("take")
    asyncio.run(operate())


@browser
@pytest.mark.slow
def test_in_two_browsers_one_operates_and_one_watches(site: Site, tmp_path: Path) -> None:
    async def operate() -> None:
        async with (
            opened(site.address, tmp_path / "one") as one,
            opened(site.address, tmp_path / "two") as two,
        ):
            await one.value("order('take')")
            await one.until("live && live.operator === 'you'", "the first to operate")
            await two.until("live && live.operator === 'another'", "the second to watch")
            assert await two.value("document.getElementById('arm').hidden")
            assert not await two.value("document.getElementById('stop').hidden")
            await two.value("document.getElementById('take').click()")
            await one.until("live.operator === 'another'", "the first to watch")

    asyncio.run(operate())


def test_without_being_asked_for_there_is_no_page(daemon: Daemon) -> None:
    assert not any("dashboard" in " ".join(p.cmdline()) for p in daemon.processes)
