"""Every camera that is plugged in, and how actd.yaml names it for good.

Asks V4L2, and RealSense's and OAK's libraries where they are installed; a library that is missing
or fails is a note, never an error. No camera is started.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from actd.cameras.config import CameraConfig, OpenCVConfig, RealSenseConfig
from actd.cameras.plugins import plugin_names
from actd.cameras.realsense import INSTALL, connected_realsenses
from actd.cameras.v4l2 import Mode, V4L2Device, v4l2_devices
from actd.errors import one_line
from actd.holders import Holder, holders

# What OpenCV makes colour images of. Others are grey, depth, or compressed as films are.
_COLOUR = frozenset(
    {"MJPG", "JPEG", "YUYV", "UYVY", "YVYU", "NV12", "NV21", "YU12", "YV12"}
    | {"RGB3", "BGR3", "XR24", "AR24", "BGR8"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedCamera:
    """One source of images. `config` names it so that it is found again; None: nothing reads it.

    `port`: where it is plugged in, as its driver says. `problem`: why nothing more is known.
    """

    name: str
    config: CameraConfig | None
    node: Path | None = None
    port: str = ""
    modes: tuple[Mode, ...] = ()
    holders: tuple[Holder, ...] = ()
    problem: str = ""

    @property
    def label(self) -> str:
        """How messages call it."""
        return self.config.path if self.config else self.name

    @property
    def colour_modes(self) -> tuple[Mode, ...]:
        """Those that can be read in colour."""
        return tuple(mode for mode in self.modes if mode.fourcc in _COLOUR)

    @property
    def is_usable(self) -> bool:
        """Whether it may give colour images: not the grey or depth node of a camera."""
        return self.config is not None and bool(self.colour_modes or not self.modes)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is plugged in, and a line for each place that was searched."""

    cameras: tuple[ConnectedCamera, ...]
    searched: tuple[str, ...]

    @property
    def usable(self) -> tuple[ConnectedCamera, ...]:
        """Those that may give colour images."""
        return tuple(camera for camera in self.cameras if camera.is_usable)


def connected_cameras() -> Listing:
    """Look everywhere."""
    devices = v4l2_devices()
    held = holders([device.node for device in devices])
    cameras = [_of_v4l2(device, devices, held.get(device.node, ())) for device in devices]
    searched = ["V4L2: /dev/video*"]
    for name, module, find in (
        ("RealSense", "pyrealsense2", _realsenses),
        ("OAK", "depthai", _oaks),
    ):
        if find_spec(module) is None:
            searched.append(f"{name}: {module} is not installed")
            continue
        try:
            cameras += find(import_module(module))
            searched.append(f"{name}: {module}")
        except Exception as error:  # noqa: BLE001 - a vendor's library may raise anything
            searched.append(f"{name}: {module} failed ({one_line(error)})")
    searched += [f"plugin {name}: not searched, give its options" for name in plugin_names()]
    return Listing(tuple(cameras), tuple(searched))


def hints(listing: Listing) -> Iterator[str]:
    """What to know of the cameras found, a line each."""
    if find_spec("pyrealsense2") is None and any(
        "realsense" in camera.name.lower() for camera in listing.cameras
    ):
        yield f"a RealSense is read best by its own library: {INSTALL}"
    if any(camera.config is None for camera in listing.cameras):
        yield "an OAK is read by a plugin of your own: see `actd docs cameras`"


def _of_v4l2(
    device: V4L2Device, devices: Sequence[V4L2Device], held: tuple[Holder, ...]
) -> ConnectedCamera:
    return ConnectedCamera(
        name=device.name or device.node.name,
        config=OpenCVConfig(index_or_path=str(_lasting_path(device, devices))),
        node=device.node,
        port=device.bus,
        modes=device.modes,
        holders=held,
        problem=device.problem,
    )


def _lasting_path(device: V4L2Device, devices: Sequence[V4L2Device]) -> Path:
    """A path that leads to the same camera tomorrow.

    In by-id, cameras of one model without serial numbers have one link between them, which leads
    to either; there the USB port tells them apart.
    """
    alike = (other for other in devices if other.name == device.name)
    if device.by_id is not None and all(other.by_id for other in alike):
        return device.by_id
    return device.by_path or device.node


def _realsenses(rs: Any) -> Iterator[ConnectedCamera]:
    for camera in connected_realsenses(rs):
        rates: dict[tuple[int, int], list[float]] = {}
        for width, height, fps in camera.modes:
            rates.setdefault((width, height), []).append(fps)
        yield ConnectedCamera(
            name=camera.name,
            config=RealSenseConfig(
                type="intelrealsense", serial_number_or_name=camera.serial or camera.name
            ),
            port=camera.port,
            modes=tuple(
                Mode("BGR8", width, height, tuple(sorted(fps, reverse=True)))
                for (width, height), fps in rates.items()
            ),
        )


def _oaks(depthai: Any) -> Iterator[ConnectedCamera]:
    for device in depthai.Device.getAllAvailableDevices():
        serial = device.deviceId if hasattr(device, "deviceId") else device.getMxId()
        yield ConnectedCamera(name=f"OAK {serial}", config=None, port=str(device.name))
