"""What is wrong with a camera that goes on being used: it is slow, its images have no colour, or
are unlike those of the training.

Pure: takes frames in order and says what to report. It never stops anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actd.cameras.base import Frame
from actd.cameras.config import CameraConfig, SourceKind
from actd.cameras.grey import is_grey
from actd.cameras.likeness import ImageMoments, Likeness, likeness
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
_UNLIKE_HINT = "see the light, its exposure, its lens, and whether it is this camera"


class CameraCondition:
    """The condition of one camera since it was opened; `trained` None: not known."""

    def __init__(self, config: CameraConfig, trained: ImageMoments | None = None) -> None:
        self._config = config
        self._trained = trained
        self._slow = Debounce(_LASTS_NS, _LASTS_NS)
        self._grey = Debounce(_LASTS_NS, _LASTS_NS)
        self._unlike = Debounce(_LASTS_NS, _LASTS_NS)
        self._why_slow = self._why_unlike = ""
        self._likeness: Likeness | None = None
        self._look_ns = 0
        self._frames = self._damaged = 0

    def changed(self, frame: Frame, fps: float) -> dict[str, Any] | None:
        """`state`, `why` and `likeness` if a state began or ended with this frame, or the images
        were compared with the training's again. `fps`: as measured.
        """
        now_ns = frame.t_capture_ns
        self._frames += 1
        self._damaged += frame.damaged
        rate = self._config.fps
        slow = bool(rate) and self._slow.look(fps < _SLOW_BELOW * (rate or 0), now_ns)
        grey = compared = False
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + _LOOK_NS
            grey = self._grey.look(is_grey(frame.data), now_ns)
            compared = self._compare(frame, now_ns)
        if slow:
            self._why_slow = f"gives {fps:.1f} of {rate:g} fps; {self._slow_hint()}"
        return self._report() if slow or grey or compared else None

    def _compare(self, frame: Frame, now_ns: int) -> bool:
        if self._trained is None:
            return False
        self._likeness = likeness(frame.data, self._trained)
        if self._unlike.look(bool(self._likeness.why), now_ns):
            self._why_unlike = f"its images are {self._likeness.why}; {_UNLIKE_HINT}"
        return True

    def _report(self) -> dict[str, Any]:
        grey = f"all channels of its images are equal; {GREY_HINTS[self._config.kind]}"
        faults = (
            ("slow", self._slow, self._why_slow),
            ("grey", self._grey, grey),
            ("unlike training", self._unlike, self._why_unlike),
        )
        figures = {} if self._likeness is None else self._likeness._asdict()
        lasting = {name: why for name, debounce, why in faults if debounce.lasts}
        state, why = " and ".join(lasting) or "ok", SEPARATOR.join(lasting.values())
        return {"state": state, "why": why, "likeness": figures}

    def _slow_hint(self) -> str:
        came = self._frames + self._damaged
        if self._damaged > _DAMAGED_ABOVE * came:
            return f"{self._damaged} of {came} images came damaged; {_DAMAGED_HINT}"
        return SLOW_HINTS[self._config.kind]
