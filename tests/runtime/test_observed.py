"""What the daemon does with cameras that lag, freeze or are slow, as its status tells it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from actd.cli.status import _rows
from actd.client import Operator
from actd.errors import LinkError
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.sim.mjpeg import MjpegServer
from tests.cameras.images import jpeg
from tests.runtime.conftest import Arm, Daemon, running, wait_until, write_config


def image(number: int) -> bytes:
    return jpeg(np.full((96, 128, 3), 8 * number % 256, np.uint8))


class Webcam:
    """A network camera whose rate and images the test decides."""

    def __init__(self, period_s: float, show: Callable[[int], bytes] = image) -> None:
        self.period_s = period_s
        self.show = show
        self._server = MjpegServer()
        self.url = self._server.url("cam_low")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._over.wait(self.period_s):
            number += 1
            self._server.publish("cam_low", self.show(number))

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._server.close()


class Watched(NamedTuple):
    """A daemon on one file and one webcam, with its robot and its operator."""

    webcam: Webcam
    arm: Arm
    operator: Operator

    def inference(self) -> dict[str, Any]:
        self.arm.cycle(0.1)
        answer: dict[str, Any] = self.operator.status()["inference"]
        return answer

    def camera(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.operator.status()["cameras"]["cam_low"]
        return answer

    def wait_running(self) -> None:
        wait_until(lambda: self.inference()["state"] == "running", "chunks", 30)


Watch = Callable[[float, str], AbstractContextManager[Watched]]


@pytest.fixture
def watch(tmp_path: Path, small_engine: Path, video: Path, ports: Ports) -> Watch:
    """`watch(webcam_period_s, settings)`: a ready daemon; nothing of it survives the block."""

    @contextmanager
    def watching(period_s: float, settings: str) -> Iterator[Watched]:
        with closing(Webcam(period_s)) as webcam:
            sources = {"cam_high": str(video), "cam_low": webcam.url}
            config = write_config(tmp_path, small_engine, ports, sources, settings)
            detecting = config.read_text().replace("fps: 30}", "fps: 30, detect_freeze: true}")
            config.write_text(detecting)
            with running(config, ports) as subject:
                with subject.robot() as robot, subject.operator() as operator:
                    yield Watched(webcam, Arm(robot), operator)
                code, output = subject.end()
                assert code == 0, output
                assert subject.leftovers() == []

    return watching


@pytest.mark.slow
@pytest.mark.parametrize(("on_skew", "state"), [("refuse", "waiting"), ("delay", "skewed")])
def test_a_camera_that_lags_is_waited_for_or_refused_as_configured(
    watch: Watch, on_skew: str, state: str
) -> None:
    settings = (
        "staleness: {camera_ms: 5000, frozen_ms: 0}\n"
        f"observation: {{max_skew_ms: 60, on_skew: {on_skew}}}"
    )
    said = f"{state}: camera cam_low is [0-9]+ ms behind (camera cam_high|robot state)"
    with watch(0.4, settings) as watched:
        wait_until(lambda: re.match(said, watched.inference()["state"]), "the lag to be said", 30)
        seen = [watched.inference() for _ in range(20)]
        assert seen[-1]["chunks"] > 0
        skews = [inference["skew_ms"] for inference in seen]
        assert (max(skews) > 60) is (on_skew == "delay")


@pytest.mark.slow
def test_a_frozen_camera_is_stale_by_name_and_recovers(watch: Watch) -> None:
    with watch(0.03, "staleness: {camera_ms: 2000, frozen_ms: 1000}") as watched:
        watched.wait_running()
        watched.webcam.show = lambda _: image(0)
        said = "waiting: camera cam_low has shown the same image for "
        wait_until(lambda: watched.inference()["state"].startswith(said), "the freeze", 30)
        camera = watched.camera()
        assert camera["state"].startswith("frozen: the same image for ")
        assert camera["unchanged_ms"] > 1000
        chunks = watched.inference()["chunks"]
        watched.arm.cycle(0.5)
        assert watched.inference()["chunks"] == chunks
        with pytest.raises(LinkError, match="camera cam_low has shown the same image"):
            watched.operator.arm()
        watched.webcam.show = image
        watched.wait_running()
        assert watched.camera()["state"] == "ok"


def drawing(number: int) -> NDArray[np.uint8]:
    """Red beside black, with an edge that moves."""
    drawn = np.zeros((96, 128, 3), np.uint8)
    drawn[:, : 32 + number % 64, 2] = 200
    return drawn


def cut(number: int) -> bytes:
    """Every third lost its last part on the way."""
    whole = jpeg(drawing(number))
    return whole[: int(0.6 * len(whole))] if number % 3 == 0 else whole


def without_colour(number: int) -> bytes:
    return jpeg(np.repeat(drawing(number)[..., 2:], 3, axis=2))


def armed_after_retries(watched: Watched) -> bool:
    watched.arm.cycle(0.1)
    try:
        watched.operator.arm()
    except LinkError:
        return False
    return True


@pytest.mark.slow
def test_images_without_colour_are_told_and_stop_nothing(watch: Watch) -> None:
    with watch(0.03, "") as watched:
        watched.webcam.show = without_colour
        said = "grey: all channels of its images are equal; set its server to show colour"
        wait_until(
            lambda: watched.arm.cycle(0.1) or watched.camera()["state"].startswith(said),
            "the missing colour to be said",
            30,
        )
        wait_until(lambda: armed_after_retries(watched), "the daemon to arm", 30)
        watched.webcam.show = lambda number: jpeg(drawing(number))
        wait_until(
            lambda: watched.arm.cycle(0.1) or watched.camera()["state"] == "ok", "colour", 30
        )


@pytest.mark.slow
def test_damaged_images_are_counted_in_status_and_not_given_on(watch: Watch) -> None:
    with watch(0.03, "") as watched:
        watched.operator.request("clear")
        watched.webcam.show = cut
        wait_until(
            lambda: watched.arm.cycle(0.1) or watched.camera()["damaged"] >= 20, "damage", 30
        )
        camera = watched.camera()
        assert camera["state"] in ("ok", "slow")
        assert 0.2 < camera["damaged"] / (camera["damaged"] + camera["frames"]) < 0.5
        wait_until(lambda: armed_after_retries(watched), "the daemon to arm", 30)
        row = dict(_rows(watched.operator.status()))["camera cam_low"]
        assert re.search(r"damaged \d+ of \d+, newest", row)


def test_a_camera_that_falls_silent_is_stale_by_name(watch: Watch) -> None:
    """Its server is there and sends nothing more: the last image is not used for ever."""
    with watch(0.03, "staleness: {camera_ms: 500}") as watched:
        watched.wait_running()
        watched.webcam.period_s = 1000.0
        said = "waiting: camera cam_low is "
        wait_until(lambda: watched.inference()["state"].startswith(said), "the silence", 30)
        chunks = watched.inference()["chunks"]
        watched.arm.cycle(0.5)
        assert watched.inference()["chunks"] == chunks
        with pytest.raises(LinkError, match=r"camera cam_low is \d+ ms old"):
            watched.operator.arm()
        wait_until(lambda: watched.camera()["state"].startswith("failed: "), "the failure", 30)
        assert "no image for 2 s" in watched.camera()["state"]


def test_a_stopped_inference_is_seen_to_be_stuck(daemon: Daemon) -> None:
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)

        def state() -> str:
            arm.cycle(0.1)
            return str(operator.status()["inference"]["state"])

        wait_until(lambda: state() == "running", "chunks", 30)
        daemon.child("inference").suspend()
        wait_until(lambda: state().startswith("stuck: "), "the stop to be seen", 30)
        daemon.child("inference").resume()
        wait_until(lambda: state() == "running", "chunks again", 30)


@pytest.mark.slow
def test_an_inference_that_stays_stuck_is_replaced_and_motion_is_not(daemon: Daemon) -> None:
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)

        def inference() -> dict[str, Any]:
            arm.cycle(0.1)
            found: dict[str, Any] = operator.status()["inference"]
            return found

        wait_until(lambda: inference()["state"] == "running", "chunks", 30)
        operator.arm()
        daemon.child("inference").suspend()
        wait_until(lambda: inference()["restarts"] == 1, "the kill", 30)
        wait_until(lambda: inference()["state"] == "running", "chunks again", 30)
        arm.cycle(1)
        assert arm.received[-1].mode is Mode.FAULT
