"""What no section of actd.yaml can see alone: values that are right and do not fit together.

Gives problems with the path of keys to where each is mended. Sections that are wrong in
themselves are left out, so that all that can be said is said at once. Pure, but for where the
symbolic links of cameras lead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from actd.cameras.config import CameraConfig, SourceKind
from actd.config.robot import COMPARED, JointConfig, RobotConfig
from actd.config.sections import ControlConfig, LinkConfig, PosesConfig, StalenessConfig

LONGEST_STOP_S = 5.0
"""What the daemon waits for at SIGTERM; systemd's TimeoutStopSec leaves it 15 s for everything."""

LONGEST_START_SHARE = 1 / 8
"""Of a joint's range: the longest start_distance. Degrees are 57 radians: an eighth of the range in
one is far beyond or far below the whole range in the other."""

# What names a device, by kind. A plugin's options are its own business.
_KEYS: Mapping[SourceKind, str] = {"device": "index_or_path", "realsense": "serial_number_or_name"}


class Problem(NamedTuple):
    """One thing that does not fit: where, what was found, what to do."""

    keys: tuple[str, ...]
    text: str


def misfits(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything in `sections`, by the names that Config gives them, that does not fit."""
    control, staleness = sections.get("control"), sections.get("staleness")
    link, robot, cameras = (sections.get(name) for name in ("link", "robot", "cameras"))
    poses = sections.get("poses")
    if control and link:
        yield from _lifetime(control, link)
    if control and staleness:
        yield from _gaps(control, staleness)
    if cameras and staleness:
        yield from _images(cameras, staleness)
    if cameras:
        yield from _devices(cameras)
    if staleness and link:
        yield from _fault(staleness, link)
    dashboard = sections.get("dashboard")
    if dashboard and link and dashboard.port in astuple(link.ports):
        yield Problem(
            ("dashboard", "port"),
            f"{dashboard.port} is one of the link's ports; choose another one",
        )
    if robot and poses:
        yield from _poses(poses, robot)
    if robot:
        yield from _start(robot)
        for name, joint in robot.joints.items():
            yield from _stop(("robot", "joints", name), joint)


def _lifetime(control: ControlConfig, link: LinkConfig) -> Iterator[Problem]:
    least = 2e3 / control.rate_hz
    if link.ttl_ms < least:
        yield Problem(
            ("link", "ttl_ms"),
            f"{link.ttl_ms:g} ms is less than two control periods, so a single late message stops "
            f"the arm; give at least {_ms(least)}, or raise control.rate_hz",
        )


def _gaps(control: ControlConfig, staleness: StalenessConfig) -> Iterator[Problem]:
    least = 2e3 / control.rate_hz
    for key, whose in (("state_ms", "state"), ("controller_ms", "acknowledgement")):
        given = getattr(staleness, key)
        if given is not None and given < least:
            yield Problem(
                ("staleness", key),
                f"{given:g} ms is less than two control periods, and the robot sends one {whose} "
                f"a period; give at least {_ms(least)}, or raise control.rate_hz",
            )


def _images(cameras: Mapping[str, CameraConfig], staleness: StalenessConfig) -> Iterator[Problem]:
    needed = {
        name: camera.latency_ms + (1.5e3 / camera.fps if camera.fps else 0.0)
        for name, camera in cameras.items()
    }
    name = max(needed, key=lambda camera: needed[camera])
    if staleness.camera_ms < needed[name]:
        yield Problem(
            ("staleness", "camera_ms"),
            f"{staleness.camera_ms:g} ms is less than one and a half frames and the latency_ms of "
            f"cameras.{name}, which is then always late; give at least {_ms(needed[name])}",
        )


def _devices(cameras: Mapping[str, CameraConfig]) -> Iterator[Problem]:
    """Devices that two cameras name: a device serves one, and the other would never open."""
    for name, (other, source) in shared_sources(cameras).items():
        if cameras[name].kind in _KEYS:
            yield Problem(
                ("cameras", name, _KEYS[cameras[name].kind]),
                f"leads to {source}, as that of cameras.{other} does; give each camera its own "
                "(`actd cameras` lists them; in /dev/v4l/by-id, cameras without a serial number "
                "hide another)",
            )


def shared_sources(cameras: Mapping[str, CameraConfig]) -> dict[str, tuple[str, str]]:
    """Camera -> an earlier one with the same source, and what both lead to."""
    first: dict[str, str] = {}
    shared = {}
    for name, camera in cameras.items():
        source = camera.source
        if camera.kind == "url":
            source = _place_of(camera.path)
        elif camera.kind in ("device", "file"):
            with suppress(ValueError):  # no name of a file: it is said where it is opened
                source = os.path.realpath(camera.path)
        if first.setdefault(source, name) != name:
            shared[name] = (first[source], source)
    return shared


def _place_of(address: str) -> str:
    """A URL without its user and in one spelling: what two cameras that are one have in common."""
    url = urlsplit(address)
    port = f":{url.port}" if url.port else ""
    query = f"?{url.query}" if url.query else ""
    return f"{url.scheme}://{url.hostname}{port}{url.path.rstrip('/')}{query}"


def _fault(staleness: StalenessConfig, link: LinkConfig) -> Iterator[Problem]:
    if staleness.fault_after_ms < link.ttl_ms:
        yield Problem(
            ("staleness", "fault_after_ms"),
            f"{staleness.fault_after_ms:g} ms is less than link.ttl_ms ({link.ttl_ms:g}), for "
            f"which the arm goes on by itself; give at least {_ms(link.ttl_ms)}",
        )


def _stop(keys: tuple[str, ...], joint: JointConfig) -> Iterator[Problem]:
    """The time that a joint takes from its largest speed to rest."""
    if joint.kind == "velocity":
        top, rate, what = max(map(abs, joint.position or ())), joint.velocity, "velocity"
    else:
        top, rate, what = joint.velocity, joint.acceleration or joint.velocity, "acceleration"
    needed_s = top / rate
    if needed_s > LONGEST_STOP_S:
        yield Problem(
            keys,
            f"{what}: {rate:g} takes {needed_s:.3g} s from {top:g} to rest, and the arm must stop "
            f"within {LONGEST_STOP_S:g} s; give at least {_up(top / LONGEST_STOP_S):g}, or lower "
            "the speed",
        )


def _poses(poses: PosesConfig, robot: RobotConfig) -> Iterator[Problem]:
    """Poses that the arm cannot be moved to, or that do not say where all of it goes."""
    for name, pose in poses:
        if pose is None:
            continue
        named = [joint for joint, kind in robot.joints.items() if kind.kind in COMPARED]
        if missing := [joint for joint in named if joint not in pose]:
            yield Problem(
                ("poses", name),
                f"{', '.join(missing)} missing; give them, or write all with `actd pose save "
                f"{name}`",
            )
        for joint, value in pose.items():
            if text := _misplaced(robot.joints.get(joint), value, list(robot.joints)):
                yield Problem(("poses", name, joint), text)


def _misplaced(joint: JointConfig | None, value: float, joints: list[str]) -> str:
    """Why a joint of a pose cannot be there, "" where it can."""
    if joint is None:
        return f"no such joint; robot.joints has {', '.join(joints)}"
    if joint.kind == "velocity":
        return "a velocity joint has no place to move to; remove it"
    low, high = joint.position or (value, value)
    if not low <= value <= high:
        return f"{value:g} is outside its limits {low:g} to {high:g}; give a value within them"
    return ""


def _start(robot: RobotConfig) -> Iterator[Problem]:
    """Distances so wide that a pose in other units passes."""
    widths = {
        name: robot.width_of(joint)
        for name, joint in robot.joints.items()
        if joint.kind in COMPARED
    }
    for name, width in widths.items():
        given = robot.joints[name].start_distance
        if given is not None and given > LONGEST_START_SHARE * width:
            yield Problem(
                ("robot", "joints", name, "start_distance"), _too_far(given, width, "the range")
            )
    inherit = {name: w for name, w in widths.items() if not robot.joints[name].start_distance}
    narrow = min(inherit, key=lambda name: inherit[name], default=None)
    given = robot.start_distance
    if narrow is not None and given is not None and given > LONGEST_START_SHARE * inherit[narrow]:
        yield Problem(
            ("robot", "start_distance"),
            _too_far(given, inherit[narrow], f"the range of {narrow}")
            + ", or that joint one of its own",
        )


def _too_far(given: float, width: float, whose: str) -> str:
    return (
        f"{given:g} is more than an eighth of {whose} ({width:.4g}) and cannot tell degrees from "
        f"radians; give at most {_down(LONGEST_START_SHARE * width):g}"
    )


def _ms(value: float) -> str:
    return f"{_up(value):g} ms"


def _up(value: float) -> float:
    """Three digits, and not less."""
    shown = float(f"{value:.3g}")
    return shown if shown >= value else float(f"{value * 1.006:.3g}")


def _down(value: float) -> float:
    """Three digits, and not more."""
    shown = float(f"{value:.3g}")
    return shown if shown <= value else float(f"{value * 0.994:.3g}")
