"""What V4L2 devices say of themselves: name, USB port, pixel formats, sizes and rates.

Opens each node and asks by ioctl, which takes no images and disturbs no program that does. Nodes
that give no images (metadata, outputs) are left out; one that cannot be asked is given with the
reason. The layouts are those of linux/videodev2.h.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_DEV = Path("/dev")

_CAPABILITY = struct.Struct("16s32s32sIII12x")
_FORMAT = struct.Struct("III32sII12x")
_SIZE = struct.Struct("III6I8x")
_INTERVAL = struct.Struct("IIIII6I8x")


def _request(number: int, layout: struct.Struct, direction: int) -> int:
    return direction << 30 | layout.size << 16 | ord("V") << 8 | number


_READ, _READ_WRITE = 2, 3
_QUERYCAP = _request(0, _CAPABILITY, _READ)
_ENUM_FMT = _request(2, _FORMAT, _READ_WRITE)
_ENUM_FRAMESIZES = _request(74, _SIZE, _READ_WRITE)
_ENUM_FRAMEINTERVALS = _request(75, _INTERVAL, _READ_WRITE)

# Bits of the capabilities: images in one plane or in several; whether a node has bits of its own.
_CAPTURE, _CAPTURE_MPLANE, _DEVICE_CAPS = 0x1, 0x1000, 0x80000000
_BUFFER_TYPES = {_CAPTURE: 1, _CAPTURE_MPLANE: 9}
_DISCRETE = 1
# What is named of a range, such as that of a Raspberry Pi's camera, beside its ends.
_USUAL_SIZES = ((320, 240), (640, 480), (800, 600), (1280, 720), (1280, 960), (1920, 1080))
_USUAL_RATES = (10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 60.0, 90.0, 120.0)
# No device has more of anything; a driver that never ends its lists would hang us.
_MOST = 256


class Mode(NamedTuple):
    """A pixel format and size, with its rates per second, fastest first; none are told by some."""

    fourcc: str
    width: int
    height: int
    fps: tuple[float, ...]


class V4L2Device(NamedTuple):
    """One node that gives images. `bus` is the driver's word for where it is plugged in.

    `by_id` and `by_path` are the lasting links to `node`, where there are any. `problem` says why
    nothing else is known.
    """

    node: Path
    by_id: Path | None
    by_path: Path | None
    name: str = ""
    bus: str = ""
    modes: tuple[Mode, ...] = ()
    problem: str = ""


def v4l2_devices(dev: Path = _DEV) -> list[V4L2Device]:
    """Every V4L2 node under `dev` that gives images, in the order of their numbers."""
    by_id, by_path = _links(dev / "v4l/by-id"), _links(dev / "v4l/by-path")
    numbered = {
        int(node.name.removeprefix("video")): node
        for node in dev.glob("video*")
        if node.name.removeprefix("video").isdecimal()
    }
    devices = (
        _device(numbered[number], by_id.get(name), by_path.get(name))
        for number in sorted(numbered)
        for name in (os.path.realpath(numbered[number]),)
    )
    return [device for device in devices if device is not None]


def _links(folder: Path) -> dict[str, Path]:
    """Node -> a link to it."""
    try:
        return {os.path.realpath(link): link for link in sorted(folder.iterdir(), reverse=True)}
    except OSError:
        return {}


def _device(node: Path, by_id: Path | None, by_path: Path | None) -> V4L2Device | None:
    """What a node says, or None where it gives no images."""
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return V4L2Device(node, by_id, by_path, problem=_in_words(error))
    try:
        capability = _ask(descriptor, _QUERYCAP, _CAPABILITY)
        if capability is None:
            return None
        _, name, bus, _, everything, own = capability
        bits = own if everything & _DEVICE_CAPS else everything
        kind = next((bit for bit in _BUFFER_TYPES if bits & bit), None)
        if kind is None:
            return None
        modes = tuple(_modes(descriptor, _BUFFER_TYPES[kind]))
        return V4L2Device(node, by_id, by_path, _text(name), _text(bus), modes)
    except OSError as error:
        return V4L2Device(node, by_id, by_path, problem=_in_words(error))
    finally:
        os.close(descriptor)


def _modes(descriptor: int, buffer_type: int) -> Iterator[Mode]:
    for index in range(_MOST):
        answer = _ask(descriptor, _ENUM_FMT, _FORMAT, index, buffer_type)
        if answer is None:
            return
        code = answer[4]
        for width, height in _sizes(descriptor, code):
            rates = set(_rates(descriptor, code, width, height)) - {0.0}
            fps = tuple(sorted(rates, reverse=True))
            yield Mode(fourcc_text(code), width, height, fps)


def _sizes(descriptor: int, code: int) -> Iterator[tuple[int, int]]:
    """Those that a device offers; of one that offers a range, the ends and the usual ones."""
    for index in range(_MOST):
        answer = _ask(descriptor, _ENUM_FRAMESIZES, _SIZE, index, code)
        if answer is None:
            return
        if answer[2] == _DISCRETE:
            yield answer[3], answer[4]
            continue
        widths, heights = answer[3:6], answer[6:9]
        usual = [(w, h) for w, h in _USUAL_SIZES if _is_in(w, widths) and _is_in(h, heights)]
        yield from dict.fromkeys([(widths[0], heights[0]), *usual, (widths[1], heights[1])])
        return


def _rates(descriptor: int, code: int, width: int, height: int) -> Iterator[float]:
    for index in range(_MOST):
        answer = _ask(descriptor, _ENUM_FRAMEINTERVALS, _INTERVAL, index, code, width, height)
        if answer is None:
            return
        numbers = answer[5:]
        if answer[4] == _DISCRETE:
            yield _per_second(*numbers[:2])
            continue
        fastest, slowest = _per_second(*numbers[:2]), _per_second(*numbers[2:4])
        usual = [rate for rate in _USUAL_RATES if slowest < rate < fastest]
        yield from dict.fromkeys([slowest, *usual, fastest])
        return


def _is_in(value: int, steps: Sequence[int]) -> bool:
    """Whether a value is in a range: its lowest, its highest and its step."""
    low, high, step = steps
    return low <= value <= high and (value - low) % max(step, 1) == 0


def _per_second(seconds: int, parts: int) -> float:
    """The rate of an interval, which is a fraction of a second."""
    return round(parts / seconds, 3) if seconds else 0.0


def _ask(
    descriptor: int, request: int, layout: struct.Struct, *fields: int
) -> tuple[Any, ...] | None:
    """The answer to an ioctl, or None where the list is at its end or this is no such device."""
    buffer = bytearray(layout.size)
    struct.pack_into(f"{len(fields)}I", buffer, 0, *fields)
    try:
        fcntl.ioctl(descriptor, request, buffer, True)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY, errno.ENODATA):
            return None
        raise
    return layout.unpack(buffer)


def fourcc_text(code: int) -> str:
    """A pixel format's four characters; the highest bit marks big-endian ones."""
    return (code & 0x7FFFFFFF).to_bytes(4, "little").decode("ascii", "replace").strip()


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _in_words(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return (
            "permission denied; add the user to the group that owns it (sudo usermod -aG video "
            "$USER) and log in again"
        )
    return f"cannot be asked ({error.strerror}); plug it in again"
