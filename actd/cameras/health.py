"""How well a camera delivers: its rate, the age of its newest frame, and its drops.

Pure: fed with capture times and asked with `now_ns`, it has no clock and does no I/O. A frame
that is not later than the one before is ignored.
"""

from __future__ import annotations

from collections import deque

_WINDOW_NS = 2_000_000_000
_WINDOW_SLOTS = 4
# How far each frame pulls the schedule of the next: enough to follow a source whose rate is off
# by up to 2 %, too little for a dropped frame to hide in.
_PULL = 0.05


class Health:
    """Rate, age and drops of one camera. `fps_asked` None means that no rate was asked for.

    A drop is a slot of the asked rate in which no frame came; a jitter of less than a quarter of
    a slot is none.
    """

    def __init__(self, fps_asked: float | None) -> None:
        self._slot_ns = 1e9 / fps_asked if fps_asked else None
        self._window_ns = max(_WINDOW_NS, _WINDOW_SLOTS * (self._slot_ns or 0))
        self._times: deque[int] = deque()
        self._due_ns = 0.0
        self._drops = 0

    @property
    def drops(self) -> int:
        """Slots without a frame since the first frame; 0 when no rate was asked for."""
        return self._drops

    def frame(self, t_ns: int) -> None:
        """A frame captured at `t_ns` has come."""
        if not self._times:
            self._due_ns = t_ns
        elif t_ns <= self._times[-1]:
            return
        self._times.append(t_ns)
        while self._times[0] < t_ns - self._window_ns:
            self._times.popleft()
        if self._slot_ns:
            self._count_drops(t_ns, self._slot_ns)

    def fps(self, now_ns: int) -> float:
        """Frames per second over the last 2 s; falls while none come, 0 below two frames."""
        recent = [t for t in self._times if t >= now_ns - self._window_ns]
        if len(recent) < 2:
            return 0.0
        intervals = len(recent) - 1
        delivered = intervals / (recent[-1] - recent[0])
        at_most = (intervals + 1) / max(now_ns - recent[0], 1)
        return min(delivered, at_most) * 1e9

    def age_ns(self, now_ns: int) -> int | None:
        """How old the newest frame is; None before the first."""
        return now_ns - self._times[-1] if self._times else None

    def _count_drops(self, t_ns: int, slot_ns: float) -> None:
        empty = max(0, round((t_ns - self._due_ns) / slot_ns))
        self._drops += empty
        self._due_ns += empty * slot_ns
        # A source faster than asked would push the schedule ever further ahead of it.
        late_ns = max(t_ns - self._due_ns, -slot_ns / 2)
        self._due_ns = t_ns - late_ns + _PULL * late_ns + slot_ns
