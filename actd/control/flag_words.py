"""What the flags of a tick say, in words for people."""

from __future__ import annotations

from collections.abc import Mapping

from actd.control.limits import Flag

FLAG_WORDS: Mapping[Flag, str] = {
    Flag.POSITION: "position limit",
    Flag.VELOCITY: "velocity limit",
    Flag.ACCELERATION: "acceleration limit",
    Flag.NON_FINITE: "not finite",
    Flag.EASING: "easing in",
    Flag.UNDERRUN: "waiting for chunks",
    Flag.STATE_STALE: "robot state stale",
    Flag.CAMERA_STALE: "camera stale",
    Flag.CAMERA_FROZEN: "camera frozen",
    Flag.CONTROLLER_LOST: "controller lost",
    Flag.SLOWED: "chunk slowed",
    Flag.FOLLOWING: "arm does not follow",
    Flag.SILENCE: "after a silence",
    Flag.LEADER_LOST: "leader lost",
}
