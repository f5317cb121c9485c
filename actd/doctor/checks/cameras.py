"""Checks of the cameras: each alone, and those that share a bus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from actd.cameras.config import CameraConfig, OpenCVConfig, SourceKind
from actd.control.staleness import is_frozen
from actd.doctor.facts import CameraHere, Facts, Look
from actd.doctor.finding import Check, Finding, Fine, NotApplicable, Problem
from actd.runtime.camera_condition import GREY_HINTS, SLOW_HINTS

DARK, BRIGHT = 12.0, 243.0
SLOW_BELOW = 0.8
DAMAGED_ABOVE = 0.02
JPEG_SHARE = 1 / 16
ISOCHRONOUS_SHARE = 0.8
"""Of a USB bus, video may take so much."""

_BITS_PER_PIXEL = 16  # YUYV
_DEFAULT_SIZE, _DEFAULT_FPS = (640, 480), 30.0
_JPEGS = (None, "MJPG", "JPEG")  # None: MJPG is what is asked for

NOT_OPENED = Problem(
    "failure",
    "the camera cannot be opened, or gives another size or rate than was asked for",
    "see that it is plugged in and reachable, then `actd doctor` again",
)
HELD = Problem(
    "failure",
    "another program has the camera open",
    "stop {holder}",
)
SLOW: Mapping[SourceKind, Problem] = {
    kind: Problem("warning", f"fewer images come than were asked for ({kind})", hint)
    for kind, hint in SLOW_HINTS.items()
}
DAMAGED = Problem(
    "warning",
    "images come damaged",
    "see its cable, its hub and what else is on its bus or network",
)
FROZEN = Problem(
    "failure",
    "the image never changes: a sensor that hangs, or a loopback without a source",
    "unplug the camera and plug it in again; where a still image is right: detect_freeze: false",
)
UNLIKE = Problem(
    "warning",
    "the images are brighter, darker, greyer or of another colour than in training",
    "make the light and the exposure as they were, clean the lens, and see that it is this camera; "
    "`actd cameras --match` shows both",
)
TOO_DARK = Problem(
    "warning",
    "the image is almost black",
    "take the cap off, turn the light on, or set the exposure (v4l2-ctl --list-ctrls)",
)
TOO_BRIGHT = Problem(
    "warning",
    "the image is almost white",
    "turn it away from the light, or set the exposure (v4l2-ctl --list-ctrls)",
)
GREY: Mapping[SourceKind, Problem] = {
    kind: Problem("warning", f"the image has no colour ({kind})", hint)
    for kind, hint in GREY_HINTS.items()
}
SAME_DEVICE = Problem(
    "warning",
    "two cameras of the deployment are nodes of one device",
    "give each its own camera (`actd cameras` lists them); right only where both nodes give colour",
)
BUS_FULL = Problem(
    "failure",
    "the cameras of one USB bus send more than it can carry",
    "set fourcc: MJPG, lower fps or size, or plug one into a port of another bus (lsusb -t)",
)
BUS_SHARED = Problem(
    "warning",
    "several uncompressed cameras share a USB bus: each reserves more than it sends",
    "set fourcc: MJPG, or plug one into a port of another bus (lsusb -t)",
)


def cameras(facts: Facts) -> Iterator[Finding]:
    """Each camera: found, held by whom, rate, brightness, grey or frozen."""
    if facts.daemon is not None:
        config = facts.deployment.config if facts.deployment else None
        for name, state in facts.daemon.cameras.items():
            source = config.cameras.get(name) if config else None
            yield _of_daemon(name, state, source.kind if source else "device")
        return
    if not facts.cameras:
        yield NotApplicable(_no_cameras(facts))
    for camera in facts.cameras:
        if camera.look is None:
            yield _unopened(camera)
        else:
            problems = [*_problems(camera, camera.look, _frozen_ns(facts))]
            yield from problems or [Fine(_words(camera.look), camera.name)]


def usb(facts: Facts) -> Iterator[Finding]:
    """Cameras that share a bus or a device."""
    on_bus: dict[str, list[CameraHere]] = defaultdict(list)
    on_device: dict[tuple[str, str], list[CameraHere]] = defaultdict(list)
    for camera in facts.cameras:
        if camera.usb is not None:
            on_bus[camera.usb.bus].append(camera)
            on_device[camera.usb.bus, camera.usb.device].append(camera)
    if not on_bus:
        yield NotApplicable("no camera on USB")
    for (_, device), sharers in on_device.items():
        if len(sharers) > 1:
            yield SAME_DEVICE.seen(f"{_names(sharers)} are both of device {device}")
    for bus, sharers in on_bus.items():
        yield _bus(bus, sharers)


def load_mbit_s(config: CameraConfig) -> float:
    """What a camera sends, about: uncompressed as YUYV, a JPEG as a sixteenth of it."""
    width, height = config.sensor_size
    pixels = (width or _DEFAULT_SIZE[0]) * (height or _DEFAULT_SIZE[1])
    raw = pixels * _BITS_PER_PIXEL * (config.fps or _DEFAULT_FPS) / 1e6
    return raw * (JPEG_SHARE if _is_compressed(config) else 1.0)


def _is_compressed(config: CameraConfig) -> bool:
    return not isinstance(config, OpenCVConfig) or config.fourcc in _JPEGS


def _bus(bus: str, sharers: Sequence[CameraHere]) -> Finding:
    carries = min(camera.usb.mbit_s for camera in sharers if camera.usb) * ISOCHRONOUS_SHARE
    load = sum(load_mbit_s(camera.config) for camera in sharers)
    observed = f"{_names(sharers)} send about {load:.0f} of {carries:.0f} Mbit/s"
    if load > carries:
        return BUS_FULL.seen(observed, bus)
    raw = [camera for camera in sharers if not _is_compressed(camera.config)]
    return BUS_SHARED.seen(observed, bus) if len(raw) > 1 else Fine(observed, bus)


def _of_daemon(name: str, state: str, kind: SourceKind) -> Finding:
    """A camera by what the running daemon says of it, such as `slow: gives 12 of 30 fps; ...`."""
    if state == "ok":
        return Fine("delivers to the running daemon", name)
    lasting = {"frozen": FROZEN, "slow": SLOW[kind], "grey": GREY[kind], "unlike": UNLIKE}
    problem = lasting.get(state.partition(":")[0].split()[0], NOT_OPENED)
    return problem.told(f"the running daemon says: {state}", name)


def _unopened(camera: CameraHere) -> Finding:
    if camera.holders:
        who = ", ".join(map(str, camera.holders))
        return HELD.seen(f"{camera.config.path} is held by {who}", camera.name, holder=who)
    return NOT_OPENED.told(camera.error, camera.name)


def _problems(camera: CameraHere, look: Look, frozen_ns: int) -> Iterator[Finding]:
    config, name, observed = camera.config, camera.name, _words(look)
    if config.detects_freeze and is_frozen(round(look.unchanged_ms * 1e6), frozen_ns):
        yield FROZEN.seen(f"the same image for {look.unchanged_ms:.0f} ms", name)
    if config.fps and look.fps < SLOW_BELOW * config.fps:
        yield SLOW[config.kind].seen(f"{look.fps:.1f} of {config.fps:g} fps", name)
    if look.damaged > DAMAGED_ABOVE * (look.frames + look.damaged):
        damaged = f"{look.damaged} of {look.frames + look.damaged} images"
        yield DAMAGED.seen(damaged, name)
    if look.brightness < DARK:
        yield TOO_DARK.seen(observed, name)
    elif look.brightness > BRIGHT:
        yield TOO_BRIGHT.seen(observed, name)
    elif look.grey:
        yield GREY[config.kind].seen("all channels are equal", name)


def _no_cameras(facts: Facts) -> str:
    here = facts.deployment
    if here is None or here.config is None:
        return "no deployment" if here is None else "the configuration has mistakes"
    return facts.unmeasured if here.config.cameras and facts.unmeasured else "none configured"


def _frozen_ns(facts: Facts) -> int:
    config = facts.deployment.config if facts.deployment else None
    return round(config.staleness.frozen_ms * 1e6) if config else 0


def _words(look: Look) -> str:
    return f"{look.fps:.1f} fps, brightness {look.brightness:.0f} of 255"


def _names(sharers: Sequence[CameraHere]) -> str:
    return " and ".join(camera.name for camera in sharers)


CHECKS = (
    Check(
        "camera",
        "found, held by whom, rate, brightness, colour, frozen: all at once for two seconds",
        (
            NOT_OPENED,
            HELD,
            *SLOW.values(),
            DAMAGED,
            FROZEN,
            UNLIKE,
            TOO_DARK,
            TOO_BRIGHT,
            *GREY.values(),
        ),
        cameras,
    ),
    Check("usb", "what cameras share", (SAME_DEVICE, BUS_FULL, BUS_SHARED), usb),
)
