"""The Rerun sink before Rerun's own receiver, which writes what it gets to a file."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from actd.errors import LinkError
from actd.mode import Mode
from tests.ports import HOST, free_ports
from tests.runtime.conftest import wait_until

pytest.importorskip("rerun", reason="no rerun-sdk: pip install 'actd[rerun]', 0.5 GB")

RERUN = [sys.executable, "-m", "rerun"]
START_NS = 1_768_210_200_000_000_000


@contextmanager
def receiver(port: int, file: Path) -> Iterator[None]:
    command = [*RERUN, "--bind", HOST, "--port", str(port), "--save", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        process.send_signal(signal.SIGINT)
        process.wait(20)
    finally:
        process.kill()
        process.wait()


def printed(file: Path) -> str:
    command = [*RERUN, "rrd", "print", "-vvv", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_viewer_gets_numbers_events_and_pictures_at_their_times(tmp_path: Path) -> None:
    from actd.viewers.rerun import Recording

    port, file = free_ports().state, tmp_path / "got.rrd"
    _, jpeg = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    sinks: list[Recording] = []

    def connected() -> bool:
        try:
            sinks.append(Recording("bot", port))
        except LinkError:
            return False
        return True

    with receiver(port, file):
        wait_until(connected, "the receiver", 30)
        sink = sinks[0]
        for k in range(5):
            values = {"left_waist": k / 8, "left arm.waist": 1.0}
            sink.numbers("action/state", values, START_NS + k * 20_000_000)
        sink.event(Mode.FAULT, "FAULT: it broke", START_NS)
        sink.picture("wrist.top", jpeg.tobytes(), START_NS)
        sink.close()
        wait_until(lambda: file.exists() and file.stat().st_size > 2000, "the file", 20)
    text = printed(file)
    assert "/action/state/left_waist" in text
    rows = dict(re.findall(r"(2026-01-12T09:30:00(?:\.\d+)?)\s+┆ \[(0\.\d+)\]", text))
    assert rows == {
        "2026-01-12T09:30:00": "0.0",
        "2026-01-12T09:30:00.020": "0.125",
        "2026-01-12T09:30:00.040": "0.25",
        "2026-01-12T09:30:00.060": "0.375",
        "2026-01-12T09:30:00.080": "0.5",
    }
    assert "FAULT: it broke" in text
    assert "ERROR" in text
    assert "/observation/images/wrist_top" in text
    assert "image/jpeg" in text


def test_without_a_viewer_it_is_said(tmp_path: Path) -> None:
    from actd.viewers.rerun import Recording

    with pytest.raises(LinkError, match=r"no Rerun viewer; start one with `rerun --bind 127"):
        Recording("bot", free_ports().state)
