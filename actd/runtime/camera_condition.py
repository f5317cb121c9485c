"""What is wrong with a camera that goes on being used: it is slow, or its images have no colour.

Pure: takes frames in order and says what to report. It never stops anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from actd.cameras.base import Frame
from actd.cameras.config import CameraConfig, SourceKind
from actd.cameras.grey import is_grey
from actd.errors import SEPARATOR
from actd.runtime.debounce import Debounce

_LASTS_NS = 5_000_000_000
_LOOK_NS = 1_000_000_000

_SLOW_BELOW = 0.8
_DAMAGED_ABOVE = 0.1
SLOW_HINTS: Mapping[SourceKind, str] = {
    "device": "in dim light turn off exposure_dynamic_framerate (v4l2-ctl -c "
    "exposure_dynamic_framerate=0); with several cameras on one USB bus use fourcc MJPG or "
    "another port",
    "file": "this computer is too busy to decode it in time",
    "url": "see the rate that its server is set to, and the network between",
    "realsense": "in dim light set exposure; use a USB 3 port and cable",
    "plugin": "see what its device can do, and what else is on its bus",
}
_DAMAGED_HINT = "see its cable, its hub and what else is on its bus or network"
GREY_HINTS: Mapping[SourceKind, str] = {
    "device": "this may be the infrared node of a depth camera: name its colour node "
    "(`actd cameras` says which has none)",
    "file": "it was recorded without colour: use another",
    "url": "set its server to show colour, also by night",
    "realsense": "see that nothing is over its colour lens",
    "plugin": "see that its device gives colour",
}


class CameraCondition:
    """The condition of one camera since it was opened."""

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        self._slow = Debounce(_LASTS_NS, _LASTS_NS)
        self._grey = Debounce(_LASTS_NS, _LASTS_NS)
        self._why_slow = ""
        self._look_ns = 0
        self._frames = self._damaged = 0

    def changed(self, frame: Frame, fps: float) -> dict[str, str] | None:
        """The new `state` and `why` if one began or ended with this frame. `fps`: as measured."""
        now_ns = frame.t_capture_ns
        self._frames += 1
        self._damaged += frame.damaged
        asked = self._config.fps
        slow = bool(asked) and self._slow.look(fps < _SLOW_BELOW * (asked or 0), now_ns)
        grey = False
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + _LOOK_NS
            grey = self._grey.look(is_grey(frame.data), now_ns)
        if slow:
            self._why_slow = f"gives {fps:.1f} of {asked:g} fps; {self._slow_hint()}"
        return self._report() if slow or grey else None

    def _report(self) -> dict[str, str]:
        grey = f"all channels of its images are equal; {GREY_HINTS[self._config.kind]}"
        faults = (("slow", self._slow, self._why_slow), ("grey", self._grey, grey))
        lasting = {name: why for name, debounce, why in faults if debounce.lasts}
        if not lasting:
            return {"state": "ok"}
        return {"state": " and ".join(lasting), "why": SEPARATOR.join(lasting.values())}

    def _slow_hint(self) -> str:
        came = self._frames + self._damaged
        if self._damaged > _DAMAGED_ABOVE * came:
            return f"{self._damaged} of {came} images came damaged; {_DAMAGED_HINT}"
        return SLOW_HINTS[self._config.kind]
