"""A Rerun viewer that runs already: `rerun --bind 127.0.0.1`."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import numpy as np
import rerun

from actd.errors import LinkError
from actd.mode import Mode
from actd.viewers.sink import EVENTS, picture_topic

_LEVELS = {Mode.HOLD: "WARN", Mode.STOP: "WARN", Mode.FAULT: "ERROR"}
_HOST = "127.0.0.1"
_TIMEOUT_S = 1.0


class Recording:
    """`Sink` that shows in the viewer on this computer. Raises LinkError where there is none."""

    def __init__(self, robot: str, port: int) -> None:
        try:
            socket.create_connection((_HOST, port), _TIMEOUT_S).close()
        except OSError:
            raise LinkError(
                f"{_HOST}:{port}: no Rerun viewer; start one with `rerun --bind {_HOST} "
                f"--port {port}`"
            ) from None
        self._stream = rerun.RecordingStream(robot)
        # Times are the daemon's, not those of arrival.
        self._stream.set_log_time_enabled(False)
        self._stream.set_log_tick_enabled(False)
        self._stream.connect_grpc(f"rerun+http://{_HOST}:{port}/proxy")

    def numbers(self, topic: str, values: Mapping[str, float], t_ns: int) -> None:
        """See `Sink.numbers`."""
        self._at(t_ns)
        for name, value in values.items():
            self._stream.log([*topic.split("/"), name], rerun.Scalars(float(value)))

    def event(self, mode: Mode, text: str, t_ns: int) -> None:
        """See `Sink.event`."""
        self._at(t_ns)
        self._stream.log(EVENTS, rerun.TextLog(text, level=_LEVELS.get(mode, "INFO")))

    def picture(self, camera: str, jpeg: bytes, t_ns: int) -> None:
        """See `Sink.picture`."""
        self._at(t_ns)
        image = rerun.EncodedImage(contents=jpeg, media_type="image/jpeg")
        self._stream.log(picture_topic(camera), image)

    def close(self) -> None:
        """See `Sink.close`."""
        self._stream.disconnect()

    def _at(self, t_ns: int) -> None:
        self._stream.set_time("time", timestamp=np.datetime64(t_ns, "ns"))
