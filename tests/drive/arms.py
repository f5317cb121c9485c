"""Arms that `actd drive tests/drive/arms.py:Plain` loads, in a process of their own.

Each is a body behind servos whose place is written down 200 times a second, whatever its driver
does: $ARM_LOG has a line of numbers for each sample, the time on CLOCK_BOOTTIME in ns and the
joints. $ARM_NAMES are the names of the joints.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from actd.link.age import boottime_ns
from tests.faults.body import Body

_STEP_S = 0.005


class Plain:
    """An arm whose driver is well: reading takes 3 ms, writing 1 ms."""

    read_s = 0.003

    def __init__(self) -> None:
        self.names = os.environ["ARM_NAMES"].split(",")
        self._lock = threading.Lock()
        self._body = Body(np.zeros(len(self.names)))
        self._log = Path(os.environ["ARM_LOG"]).open("w", buffering=1)  # noqa: SIM115
        self.began_s = time.monotonic()
        threading.Thread(target=self._live, daemon=True).start()

    def connect(self) -> None:
        self._note("connect")

    def read(self) -> dict[str, float]:
        time.sleep(self.read_s)
        with self._lock:
            return dict(zip(self.names, self._body.position.tolist(), strict=True))

    def command(self, targets: Mapping[str, float]) -> None:
        time.sleep(0.001)
        with self._lock:
            self._body.follow(np.array([targets[name] for name in self.names]))

    def close(self) -> None:
        self._note("close")

    @property
    def age_s(self) -> float:
        """Since it was made."""
        return time.monotonic() - self.began_s

    def _live(self) -> None:
        last_s = time.monotonic()
        while True:
            time.sleep(_STEP_S)
            now_s = time.monotonic()
            with self._lock:
                self._body.step(now_s - last_s)
                places = " ".join(f"{place:.6f}" for place in self._body.position)
            last_s = now_s
            self._note(f"{boottime_ns()} {places}")

    def _note(self, line: str) -> None:
        self._log.write(f"{line}\n")


class Slow(Plain):
    """A bus that allows less than 20 cycles a second."""

    read_s = 0.05


class Silent(Plain):
    """Its driver waits for an answer that does not come."""

    def connect(self) -> None:
        time.sleep(3600)


class Interrupted(Plain):
    """A signal breaks into its driver, which takes that for a fault of its port."""

    def connect(self) -> None:
        try:
            time.sleep(3600)
        except BaseException:  # noqa: BLE001  such drivers there are
            raise ConnectionError("Could not connect") from None


class Deaf(Plain):
    """A signal breaks into its driver, which says nothing of that."""

    def connect(self) -> None:
        with suppress(BaseException):
            time.sleep(3600)

    def command(self, targets: Mapping[str, float]) -> None:
        self._note("command")


class Unread(Plain):
    """A signal breaks into its first reading, which takes that for a fault of its port."""

    def read(self) -> dict[str, float]:
        try:
            time.sleep(3600)
        except BaseException:  # noqa: BLE001  such drivers there are
            raise ConnectionError("There is no status packet!") from None
        return {}


class Whole(Plain):
    """Takes half a cycle of 20 ms for a command, and writes down when one is whole."""

    def command(self, targets: Mapping[str, float]) -> None:
        self._note("begin")
        time.sleep(0.01)
        super().command(targets)
        self._note("whole")


class Flaky(Plain):
    """Every 50th reading and every 70th command fail."""

    def __init__(self) -> None:
        super().__init__()
        self._reads = self._commands = 0

    def read(self) -> dict[str, float]:
        self._reads += 1
        if self._reads % 50 == 0:
            raise ConnectionError("There is no status packet!")
        return super().read()

    def command(self, targets: Mapping[str, float]) -> None:
        self._commands += 1
        if self._commands % 70 == 0:
            raise OSError(5, "Input/output error")
        super().command(targets)


class Mishap(Plain):
    """Well until $ARM_WHEN is there, then ill in the way that file says."""

    def _ill(self, how: str) -> bool:
        when = Path(os.environ["ARM_WHEN"])
        return when.exists() and when.read_text().strip() == how

    def read(self) -> dict[str, float]:
        if self._ill("unplugged"):
            raise ConnectionError("There is no status packet!")
        reading = super().read()
        if self._ill("nan"):
            reading[self.names[2]] = float("nan")
        return reading

    def command(self, targets: Mapping[str, float]) -> None:
        if self._ill("blocked"):
            Path(os.environ["ARM_WHEN"]).write_text("blocking")
            time.sleep(0.8)
        if self._ill("hung"):
            time.sleep(3600)
        if self._ill("deaf"):
            raise OSError(5, "Input/output error")
        super().command(targets)


# --- leaders


class Handheld:
    """A leader in a hand that brings it to where $LEADER_TO says, at a speed of its own.

    $LEADER_LOG has a line for each reading, as an arm's log. $LEADER_WHEN is there when it is ill.
    """

    speed = 1.0  # rad/s

    def __init__(self) -> None:
        self.names = os.environ.get("LEADER_NAMES", os.environ["ARM_NAMES"]).split(",")
        self.place = np.zeros(len(self.names))
        self._goal = self.place
        self._log = Path(os.environ["LEADER_LOG"]).open("w", buffering=1)  # noqa: SIM115
        self._last_s = time.monotonic()

    def connect(self) -> None:
        self.note("connect")

    def read(self) -> dict[str, float]:
        time.sleep(0.003)
        ill = self._ill()
        if ill == "unplugged":
            raise ConnectionError("There is no status packet!")
        if ill == "hung":
            time.sleep(3600)
        self._move()
        place = self.place + (2.0 if ill == "leaps" else 0.0)
        place[2] = np.nan if ill == "nan" else place[2]
        self.note(f"{boottime_ns()} {' '.join(f'{value:.6f}' for value in place)}")
        return dict(zip(self.names, place.tolist(), strict=True))

    def close(self) -> None:
        self.note("close")

    def hand(self) -> np.ndarray | None:
        """Where a hand takes it, None while none is on it."""
        where = Path(os.environ["LEADER_TO"])
        words = where.read_text().split() if where.exists() else []
        return np.array(words, float) if len(words) == len(self.names) else None

    def note(self, line: str) -> None:
        self._log.write(f"{line}\n")

    def _move(self) -> None:
        now_s = time.monotonic()
        hand = self.hand()
        step = self.speed * (now_s - self._last_s)
        self._last_s = now_s
        self._goal = self._goal if hand is None else hand
        self.place = self.place + np.clip(self._goal - self.place, -step, step)

    def _ill(self) -> str:
        when = Path(os.environ["LEADER_WHEN"])
        return when.read_text().strip() if when.exists() else ""


class Motored(Handheld):
    """A leader with motors, which beat the hand."""

    speed = 4.0

    def follow(self, targets: Mapping[str, float]) -> None:
        self._goal = np.array([targets[name] for name in self.names])
        self.note(f"follow {' '.join(f'{value:.6f}' for value in self._goal)}")
        self.holds = True

    def release(self) -> None:
        self._goal = self.place
        self.note("release")
        self.holds = False

    holds = False

    def hand(self) -> np.ndarray | None:
        return None if self.holds else super().hand()


class Mute(Handheld):
    """A leader that cannot be read."""

    read = None  # type: ignore[assignment]


class HalfMotored(Handheld):
    """A leader that would never let go."""

    def follow(self, targets: Mapping[str, float]) -> None: ...
