"""Cameras that this computer has not: V4L2 nodes for child processes, behind the system calls.

What a child runs is the real code, OpenCV's own V4L2 code included; see shim.c.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

SHIM = Path(__file__).with_name("shim.c")
CAPTURE, METADATA = 0x05200001, 0x05A00000
MJPG = ("MJPG 640 480 30", "MJPG 320 240 30", "YUYV 640 480 30")


@dataclass
class FakeV4L2:
    """A tree of nodes, and the environment in which a process sees them."""

    root: Path
    library: Path
    nodes: int = 0

    def __post_init__(self) -> None:
        for folder in ("dev", "drivers"):
            (self.root / folder).mkdir(parents=True)

    def add(
        self,
        image: NDArray[np.uint8],
        *,
        card: str = "HD Pro Webcam C920",
        port: str = "1",
        by_id: str | None = None,
        modes: Sequence[str] = MJPG,
        caps: int = CAPTURE,
        state: str = "",
        noise: bool = False,
    ) -> Path:
        """A camera that shows `image`, RGB, for ever; returns its node.

        `state` may be busy or forbidden, or range: all sizes and rates up to the modes'.
        `noise`: no image is like the one before, as of a sensor.
        """
        name = f"video{self.nodes}"
        self.nodes += 1
        node = self.root / "dev" / name
        node.touch()
        lines = [f"card {card}", f"bus usb-0000:00:14.0-{port}", f"caps {caps:x}"]
        lines += [state, *(f"mode {mode}" for mode in modes)]
        (self.root / "drivers" / name).write_text("\n".join(lines) + "\n")
        for mode in modes:
            fourcc, width, height, _ = mode.split()
            data = _encoded(image, fourcc, int(width), int(height))
            file = self.root / "drivers" / f"{name}-{fourcc}-{width}x{height}"
            file.write_bytes(data)
            for number in range(2 if noise else 0):
                brighter = np.clip(image, 0, 250) + np.uint8(2 * number)
                data = _encoded(brighter, fourcc, int(width), int(height))
                file.with_name(f"{file.name}.{number}").write_bytes(data)
        self._link("by-path", f"pci-0000:00:14.0-usb-0:{port}:1.0-video-{name}", name)
        if by_id is not None:
            self._link("by-id", f"usb-{by_id}-video-index0", name)
        return node

    def environment(self) -> Mapping[str, str]:
        """The environment of a process that has these cameras, and no others."""
        return {
            **os.environ,
            "LD_PRELOAD": str(self.library),
            "FAKE_V4L2_ROOT": str(self.root),
        }

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run python with `words`, beside these cameras."""
        return subprocess.run(
            [sys.executable, *words],
            env=self.environment(),
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def _link(self, kind: str, link: str, node: str) -> None:
        folder = self.root / "dev/v4l" / kind
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / link
        place.unlink(missing_ok=True)
        place.symlink_to(f"../../{node}")


def build(folder: Path) -> Path:
    """The shim as a library; skips the test where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C compiler")
    library = folder / "v4l2_shim.so"
    language = [] if compiler.endswith("cc") else ["-x", "c"]
    command = [compiler, *language, "-shared", "-fPIC", "-O1", "-w", str(SHIM), "-o", str(library)]
    subprocess.run([*command, "-ldl"], check=True)
    return library


def _encoded(image: NDArray[np.uint8], fourcc: str, width: int, height: int) -> bytes:
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if fourcc == "MJPG":
        return cv2.imencode(".jpg", cv2.cvtColor(scaled, cv2.COLOR_RGB2BGR))[1].tobytes()
    if fourcc == "YUYV":
        return cv2.cvtColor(scaled, cv2.COLOR_RGB2YUV_YUYV).tobytes()
    return cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY).tobytes()
