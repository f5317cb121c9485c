"""The cameras of a robot of LeRobot, for the daemon: `actd drive --cameras=robot`.

LeRobot's robots read their cameras while they are observed, and wait there for each one's next
image: the arm would be driven at the cameras' pace. So cameras are taken out of the robot, and each
is read by a thread of its own. One that fails is said and connected again; the daemon sees its
images grow old, and holds. Images that only come with an observation are the arm's to give.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from actd.drive import lerobot_devices
from actd.drive.arm import words
from actd.drive.bus_loop import Say
from actd.drive.image_server import ImageServer
from actd.drive.lerobot_devices import ROBOT

_IMAGE_MS = 1000
_AGAIN_S = 1.0
_COMPLAINT_NS = 10_000_000_000
_CLOSE_S = 2.0  # less than what `Ending` gives to a way out that hangs


def take_cameras(robot: Any) -> dict[str, Any]:
    """Take LeRobot's cameras out of a robot and the arms that it is made of.

    By the names that their images have in its observations.
    """
    kind = importlib.import_module("lerobot.cameras").Camera
    taken: dict[str, Any] = {}
    # A robot of two arms has their cameras once more, without the side in the name.
    for prefix, part in reversed(list(lerobot_devices.parts(ROBOT, robot))):
        for group in vars(part).values():
            if not isinstance(group, dict):
                continue
            for name in [name for name, value in group.items() if isinstance(value, kind)]:
                camera = group.pop(name)
                if all(camera is not other for other in taken.values()):
                    taken[f"{prefix}{name}"] = camera
    return taken


@contextmanager
def reading(cameras: Mapping[str, Any], server: ImageServer, say: Say) -> Iterator[None]:
    """Have every camera's images published, until the block ends."""
    readers = [_Reader(name, camera, server, say) for name, camera in cameras.items()]
    try:
        yield
    finally:
        for reader in readers:
            reader.end()
        end_s = time.monotonic() + _CLOSE_S
        for reader in readers:
            reader.join(end_s - time.monotonic())


class _Reader:
    """Reads one camera, and connects it as often as needed."""

    def __init__(self, name: str, camera: Any, server: ImageServer, say: Say) -> None:
        self._name = name
        self._camera = camera
        self._server = server
        self._say = say
        mode = getattr(camera, "color_mode", "rgb")
        self._is_bgr = getattr(mode, "value", mode) == "bgr"
        self._fails = False
        self._complained_ns = -_COMPLAINT_NS
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True, name=f"camera {name}")
        self._thread.start()

    def end(self) -> None:
        """Ask it to end."""
        self._over.set()

    def join(self, timeout_s: float) -> None:
        """Wait until its camera is closed; one whose driver does not return is left."""
        self._thread.join(max(0.0, timeout_s))
        if self._thread.is_alive():
            self._say(f"camera {self._name}: close: its driver does not return")

    def _live(self) -> None:
        while not self._over.is_set():
            try:
                self._camera.connect()
                while not self._over.is_set():
                    self._pass_on(self._camera.async_read(timeout_ms=_IMAGE_MS))
            except Exception as error:  # noqa: BLE001  a driver may raise anything
                self._complain(words(error))
            with suppress(Exception):  # LeRobot's raise where nothing is connected
                self._camera.disconnect()
            self._over.wait(_AGAIN_S)

    def _pass_on(self, image: Any) -> None:
        self._server.put(self._name, image[..., ::-1] if self._is_bgr else image)
        if self._fails:
            self._fails = False
            self._say(f"camera {self._name}: works again")

    def _complain(self, problem: str) -> None:
        if self._over.is_set():
            return
        now_ns = time.monotonic_ns()
        if not self._fails and now_ns - self._complained_ns > _COMPLAINT_NS:
            self._fails, self._complained_ns = True, now_ns
            self._say(
                f"camera {self._name}: {problem}; tried again until it works: check its cable, and "
                "whether another program holds it"
            )
