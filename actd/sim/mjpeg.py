"""Cameras over HTTP: the newest JPEG of each, as an endless multipart stream.

Owns one listening socket and a thread per viewer; takes JPEG bytes from `publish` and serves
them at `/<name>`, the way a network camera does. The publisher never waits for a viewer: a slow
one skips to the newest image. A viewer that goes away ends its own thread and nothing else.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

_BOUNDARY = "frame"
_SEND_TIMEOUT_S = 5.0
_WAKE_S = 0.5


class _Image(NamedTuple):
    number: int
    jpeg: bytes


class MjpegServer:
    """Serves `http://host:port/<name>` until closed; usable as a context manager.

    `port` 0 takes a free one. Raises OSError when the address cannot be bound.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._images: dict[str, _Image] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._http = _Http((host, port), _handler(self))
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="mjpeg"
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port in use, also if `port` was 0."""
        return int(self._http.server_address[1])

    def url(self, name: str) -> str:
        """The address of the stream of `name`."""
        return f"http://{self._http.server_address[0]!s}:{self.port}/{name}"

    def publish(self, name: str, jpeg: bytes) -> None:
        """Make `jpeg` the newest image of `name`. Never waits for a viewer."""
        with self._changed:
            previous = self._images.get(name)
            self._images[name] = _Image(previous.number + 1 if previous else 1, jpeg)
            self._changed.notify_all()

    def next_image(self, name: str, after: int) -> _Image | None:
        """The newest image with a number above `after`, waiting for it; None once closed."""
        with self._changed:
            while not self._closing:
                image = self._images.get(name)
                if image is not None and image.number > after:
                    return image
                self._changed.wait(_WAKE_S)
        return None

    def close(self) -> None:
        """End every stream and free the port. Safe to call twice."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> MjpegServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True  # a viewer that stopped reading must not hold up close()
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: a viewer that leaves is no event, and stderr belongs to the program."""


def _handler(server: MjpegServer) -> type[BaseHTTPRequestHandler]:
    class Viewer(BaseHTTPRequestHandler):
        timeout = _SEND_TIMEOUT_S
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].strip("/")
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            image = server.next_image(name, after=0)
            while image is not None:
                self.wfile.write(_part(image.jpeg))
                image = server.next_image(name, after=image.number)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent: the simulator's terminal is not an access log."""

    return Viewer


def _part(jpeg: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode("ascii") + jpeg + b"\r\n"
