"""A camera behind a password: it is used, and nothing that leaves the daemon shows any of it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

from actd.errors import LinkError
from actd.link.sockets import Ports
from tests.cameras.images import jpeg
from tests.ports import free_ports
from tests.runtime.conftest import start, wait_until, write_config

USER, PASSWORD, TOKEN, KEY = "needleuser", "needle@#/%pass", "needletoken", "needlekey"
SECRETS = f"{USER}:needle%40%23%2F%25pass"
EXPECTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Guarded(BaseHTTPRequestHandler):
    """An MJPEG camera for those who know user, password and token."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] != EXPECTED or self.path != f"/{KEY}/high?token={TOKEN}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(10_000):
            data = jpeg(np.full((96, 128, 3), number % 256, np.uint8))
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(1 / 30)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """`127.0.0.1:PORT` of the guarded camera."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_password_opens_the_camera_and_is_in_no_output(
    tmp_path: Path, small_engine: Path, ports: Ports, address: str
) -> None:
    sources = {
        "cam_high": f"http://{SECRETS}@{address}/{KEY}/high?token={TOKEN}",
        "cam_low": f"http://{SECRETS}@127.0.0.1:9/{KEY}/low?token={TOKEN}",  # nobody listens there
    }
    flights = tmp_path / "flights"
    page = free_ports().state
    config = write_config(
        tmp_path,
        small_engine,
        ports,
        sources,
        f"flight: {{folder: {flights}, max_mb: 64}}\ndashboard: {{enabled: true, port: {page}}}",
    )
    outputs: dict[str, str] = {}

    def command(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "actd", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "100"},
        )
        assert done.returncode == 0, done.stderr
        outputs[" ".join(words)] = done.stdout + done.stderr

    def states() -> dict[str, Any]:
        try:
            return {name: c["state"] for name, c in operator.status()["cameras"].items()}
        except LinkError:
            return {}

    subject = start(config, ports)
    try:
        with subject.operator() as operator:
            wait_until(lambda: states().get("cam_high") == "ok", "the password to be taken", 30)
            wait_until(lambda: "failed" in states()["cam_low"], "the other camera to fail", 30)
            low = states()["cam_low"]
        for words in (
            *("config check", "config show", "config show --json"),
            *("status", "status --json", "echo status --count 1"),
        ):
            command(*words.split())
        for name in ("", "config.json", "status.json", "live.json", "history.json", "metrics"):
            with urlopen(f"http://127.0.0.1:{page}/{name}", timeout=10) as answer:
                outputs[f"dashboard {name}"] = answer.read().decode()
        _, outputs["log"] = subject.end()
    finally:
        if subject.process.poll() is None:
            subject.process.kill()
    (run,) = (path.parent for path in flights.glob("*/run.json"))
    command("report", str(run), "--out", "page.html")
    command("replay", str(run))
    outputs["page"] = (tmp_path / "page.html").read_text()
    outputs |= {f.name: f.read_bytes().decode("latin-1") for f in run.iterdir()}

    assert "http://***@127.0.0.1:9/***" in low
    assert "http://***@127.0.0.1:9/***" in outputs["log"]
    assert f"http://***@{address}/***" in outputs["config show --json"]
    assert "http://***@127.0.0.1:9/***" in outputs["dashboard config.json"]
    assert "http://***@127.0.0.1:9/***" in outputs["dashboard status.json"]
    shown = [name for name, text in outputs.items() if "needle" in text]
    assert shown == []
