"""The smallest RTSP camera: JPEG over RTP (RFC 2435), interleaved in the RTSP connection.

Enough of RFC 2326 for one viewer on loopback; `publish` is called for each image.
"""

from __future__ import annotations

import base64
import socket
import struct
import threading
import time
from collections.abc import Callable
from itertools import count

_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\n"
_REPLIES = {
    "OPTIONS": ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN", ""),
    "DESCRIBE": ("Content-Type: application/sdp", _SDP + "a=control:track0\r\n"),
    "SETUP": ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1", ""),
}


class RtspCamera:
    """Sends `image(0)`, `image(1)`, ... (JPEG, at most 60 kB) at some 50 Hz to each viewer.

    With `login`, "USER:PASSWORD", only to those who give it.
    """

    def __init__(self, image: Callable[[int], bytes], login: str = "") -> None:
        self._image = image
        self._ticket = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live"

    def close(self) -> None:
        """Cut the viewer off and free the port."""
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                viewer, _ = self._listener.accept()
            except OSError:
                return
            with viewer:
                self._attend(viewer)

    def _attend(self, viewer: socket.socket) -> None:
        requests = viewer.makefile("r", newline="\r\n")
        for line in requests:
            method = line.split(" ")[0]
            headers = dict(_header(text) for text in iter(requests.readline, "\r\n"))
            if headers.get("authorization") != self._ticket:
                viewer.sendall(
                    f"RTSP/1.0 401 Unauthorized\r\nCSeq: {headers['cseq']}\r\n"
                    'WWW-Authenticate: Basic realm="camera"\r\n\r\n'.encode()
                )
                continue
            extra, body = _REPLIES.get(method, ("Session: 1", ""))
            viewer.sendall(
                f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            if method == "PLAY":
                self._play(viewer)
                return

    def _play(self, viewer: socket.socket) -> None:
        for number in count():
            packet = _rtp(number, self._image(number))
            try:
                viewer.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
            except OSError:
                return
            if self._closing.wait(0.02):
                return


def _header(text: str) -> tuple[str, str]:
    key, _, value = text.partition(":")
    return key.strip().lower(), value.strip()


def _rtp(number: int, jpeg: bytes) -> bytes:
    """One image as one packet: marker set, type 26 (JPEG), a 90 kHz stamp."""
    stamp = int(time.monotonic() * 90_000) & 0xFFFFFFFF
    tables, width, height, scan = _parts(jpeg)
    head = struct.pack(">BBHII", 0x80, 0x80 | 26, number & 0xFFFF, stamp, 1)
    image = struct.pack(">IBBBB", 0, 1, 255, width // 8, height // 8)
    return head + image + struct.pack(">BBH", 0, 0, len(tables)) + tables + scan


def _parts(jpeg: bytes) -> tuple[bytes, int, int, bytes]:
    """Quantisation tables, width, height and scan of a baseline 4:2:0 JPEG."""
    tables, width, height, at = b"", 0, 0, 2
    while True:
        marker, length = struct.unpack_from(">HH", jpeg, at)
        segment = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xFFDB:
            tables += b"".join(segment[i + 1 : i + 65] for i in range(0, len(segment), 65))
        elif marker == 0xFFC0:
            height, width = struct.unpack_from(">HH", segment, 1)
        elif marker == 0xFFDA:
            return tables, width, height, jpeg[at:]
