"""Foxglove: an MCAP file, or a server that its app connects to.

Numbers have the JSON schema that LeRobot uses, so one layout shows both programs' data.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import foxglove
from foxglove.channels import CompressedImageChannel, LogChannel
from foxglove.messages import CompressedImage, Log, LogLevel, Timestamp

from actd.errors import LinkError
from actd.holders import listener
from actd.mode import Mode
from actd.viewers.sink import ACTION, AGES, EVENTS, STATE, TICK, picture_topic

_SCALARS = {
    "type": "object",
    "title": "lerobot.Scalars",
    "properties": {
        "scalars": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"label": {"type": "string"}, "value": {"type": "number"}},
            },
        }
    },
}
_LEVELS = {Mode.HOLD: LogLevel.Warning, Mode.STOP: LogLevel.Warning, Mode.FAULT: LogLevel.Error}


class _Channels:
    """`Sink` without an end: whatever has been opened on its `context` gets the messages."""

    def __init__(self) -> None:
        self.context = foxglove.Context()
        # From the beginning: a client that connects while one is made may miss it.
        self._numbers = {
            topic: foxglove.Channel(f"/{topic}", schema=_SCALARS, context=self.context)
            for topic in (ACTION, STATE, TICK, AGES)
        }
        self._pictures: dict[str, CompressedImageChannel] = {}
        self._events = LogChannel(f"/{EVENTS}", context=self.context)

    def numbers(self, topic: str, values: Mapping[str, float], t_ns: int) -> None:
        """See `Sink.numbers`."""
        scalars = [{"label": name, "value": value} for name, value in values.items()]
        self._numbers[topic].log({"scalars": scalars}, log_time=t_ns)

    def event(self, mode: Mode, text: str, t_ns: int) -> None:
        """See `Sink.event`."""
        level = _LEVELS.get(mode, LogLevel.Info)
        log = Log(timestamp=_stamp(t_ns), level=level, name=mode.name, message=text)
        self._events.log(log, log_time=t_ns)

    def picture(self, camera: str, jpeg: bytes, t_ns: int) -> None:
        """See `Sink.picture`."""
        channel = self._pictures.get(camera)
        if channel is None:
            channel = CompressedImageChannel(f"/{picture_topic(camera)}", context=self.context)
            self._pictures[camera] = channel
        image = CompressedImage(timestamp=_stamp(t_ns), frame_id=camera, data=jpeg, format="jpeg")
        channel.log(image, log_time=t_ns)


class _File:
    """A file that remembers why it could not be written, which the library does not say."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.error: OSError | None = None

    def write(self, data: bytes | bytearray) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self.error = self.error or error
            raise

    def close(self) -> None:
        self._file.close()


class McapFile(_Channels):
    """`Sink` that writes an MCAP file, anew; `about` is kept in it. Raises OSError."""

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        super().__init__()
        # It would complain of every message after the one that `check` and `close` tell of.
        logging.getLogger("foxglove").setLevel(logging.CRITICAL)
        self._file = _File(path)
        self._writer = foxglove.open_mcap(self._file, context=self.context)
        self._writer.write_metadata("actd", dict(about))

    def attach(self, name: str, data: bytes, t_ns: int) -> None:
        """Put a JSON file into the file."""
        self._writer.attach(
            log_time=t_ns, create_time=t_ns, name=name, media_type="application/json", data=data
        )

    def check(self) -> None:
        """Raise OSError where something could not be written."""
        if self._file.error is not None:
            raise self._file.error

    def close(self) -> None:
        """See `Sink.close`."""
        try:
            self._writer.close()
            self._file.flush()
        except RuntimeError as error:
            raise self._file.error or OSError(str(error)) from None
        finally:
            with suppress(OSError):
                self._file.close()


class Server(_Channels):
    """`Sink` that Foxglove's app connects to, on this computer. Raises LinkError."""

    def __init__(self, robot: str, host: str, port: int) -> None:
        super().__init__()
        try:
            self._server = foxglove.start_server(
                name=robot, host=host, port=port, context=self.context
            )
        except RuntimeError as error:
            taken, holder = listener(port, host)
            why = f"in use by {holder or 'another program'}" if taken else str(error)
            raise LinkError(f"--port {port}: {why}; choose another one") from None
        self.address = f"ws://{host}:{self._server.port}"

    def close(self) -> None:
        """See `Sink.close`."""
        self._server.stop()


def _stamp(t_ns: int) -> Timestamp:
    return Timestamp(sec=t_ns // 1_000_000_000, nsec=t_ns % 1_000_000_000)
