"""Every fault that is injected, and what must follow: the table behind docs/reliability.md."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from actd.mode import Mode
from tests.faults import injections as inject
from tests.faults import scribbles
from tests.faults.deployment import (
    CAMERA_MS,
    CONTROLLER_MS,
    FAULT_AFTER_MS,
    FROZEN_MS,
    PLAN_MS,
    STATE_MS,
)
from tests.faults.injections import Injection
from tests.faults.promise import Outcome
from tests.faults.rig import Setup


class _Case(NamedTuple):
    """Which processes can be struck, and with what outcome in ARMED and elsewhere."""

    armed: Outcome
    else_: Callable[[Mode], Outcome]


_PLAIN = Setup()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in one mode. `lasts_s`: how long it is watched where nothing ends it earlier.

    `needs` says why this machine cannot have it, "" where it can. `spends`: the daemon has to
    be started anew afterwards.
    """

    name: str
    how: str
    mode: Mode
    outcome: Outcome
    inject: Injection
    setup: Setup = _PLAIN
    lasts_s: float = 1.5
    needs: Callable[[], str] = str
    spends: bool = False

    @property
    def key(self) -> str:
        """As tests and the page call it."""
        return f"{self.name} [{self.mode.name}]"


# --- outcomes


def unmoved(mode: Mode) -> Outcome:
    """Whatever happens to a daemon that does not drive, it goes on not driving."""
    return Outcome(f"stays {mode.name}", frozenset({mode}), steady=True)


def held(within_ms: float) -> Outcome:
    """The fault starves motion of something."""
    return Outcome(
        f"rests within {within_ms:g} ms, FAULT {FAULT_AFTER_MS} ms later, only an operator re-arms",
        frozenset({Mode.FAULT}),
        held_ms=within_ms,
        faulted_ms=within_ms + FAULT_AFTER_MS,
    )


UNDISTURBED = Outcome("motion goes on", frozenset({Mode.ARMED}))
SAFE = Outcome(
    "motion within limits, or HOLD and FAULT",
    frozenset({Mode.ARMED, Mode.HOLD, Mode.FAULT}),
)
FAULTED = Outcome(
    "FAULT at once, only an operator re-arms", frozenset({Mode.FAULT}), held_ms=0, faulted_ms=0
)
FAULTED_BY_SILENCE = Outcome(
    "silence, commands expire by their ttl; then FAULT, only an operator re-arms",
    frozenset({Mode.FAULT}),
    silent=True,
)
ENDS_SILENT = Outcome(
    "silence, commands expire by their ttl; the daemon ends",
    frozenset(Mode),
    silent=True,
    ended=1,
)
ENDS_STOPPED = Outcome(
    "rests, says STOP, everything ends", frozenset({Mode.STOP}), held_ms=0, ended=-9
)
STOPPED = Outcome("STOP when the operator says so", frozenset({Mode.STOP}))


def _silent(mode: Mode) -> Outcome:
    return Outcome(f"silence, then {mode.name} again", frozenset({mode}), steady=True, silent=True)


def _ends_silent(mode: Mode) -> Outcome:
    return ENDS_SILENT


def _ends_stopped(mode: Mode) -> Outcome:
    return ENDS_STOPPED


_PROCESSES: dict[tuple[str, signal.Signals], _Case] = {
    ("flight", signal.SIGKILL): _Case(UNDISTURBED, unmoved),
    ("flight", signal.SIGSTOP): _Case(UNDISTURBED, unmoved),
    ("supervisor", signal.SIGSTOP): _Case(UNDISTURBED, unmoved),
    ("inference", signal.SIGSTOP): _Case(held(PLAN_MS), unmoved),
    ("camera cam_high", signal.SIGSTOP): _Case(held(CAMERA_MS + PLAN_MS), unmoved),
    ("camera cam_low", signal.SIGSTOP): _Case(held(CAMERA_MS + PLAN_MS), unmoved),
    ("tick", signal.SIGSTOP): _Case(FAULTED_BY_SILENCE, _silent),
    ("inference", signal.SIGKILL): _Case(FAULTED, unmoved),
    ("camera cam_high", signal.SIGKILL): _Case(FAULTED, unmoved),
    ("camera cam_low", signal.SIGKILL): _Case(FAULTED, unmoved),
    ("supervisor", signal.SIGKILL): _Case(ENDS_STOPPED, _ends_stopped),
    ("tick", signal.SIGKILL): _Case(ENDS_SILENT, _ends_silent),
}
_HOW = {signal.SIGKILL: "kill -9", signal.SIGSTOP: "SIGSTOP, then SIGCONT"}


def _process_faults() -> Iterator[Fault]:
    for (target, number), case in _PROCESSES.items():
        for mode in Mode:
            name = "flight recorder" if target == "flight" else target
            yield Fault(
                f"{_HOW[number].split(',')[0]} {name}",
                _HOW[number],
                mode,
                case.armed if mode is Mode.ARMED else case.else_(mode),
                inject.send(number, target),
                # A tick process that comes back late must find that it is too late.
                lasts_s=2.0 if target == "tick" and mode is Mode.ARMED else 0.8,
            )


LATE_MS = 1300

_PLAN_FAULTS = (
    ("garbage in plan bytes", "random bytes over records of the ring", scribbles.garbage, SAFE),
    ("half-written plans", "records whose second number is missing", scribbles.half_written, SAFE),
    ("plan of 1e30", "whole records with valid checksums", scribbles.wild(1e30), SAFE),
    ("plan of NaN", "whole records with valid checksums", scribbles.wild(float("nan")), FAULTED),
    ("plan from the future", "records stamped an hour ahead", scribbles.from_the_future, SAFE),
)
_WEBCAM = Setup(webcam=True)
_PICTURES = (
    (
        "camera freezes",
        "the same picture again and again",
        inject.show(inject.frozen),
        held(FROZEN_MS + PLAN_MS),
    ),
    ("camera drops", "2 of 3 pictures missing", inject.show(inject.every(3)), UNDISTURBED),
    (
        "camera late",
        f"a picture every {LATE_MS} ms",
        inject.show(inject.every(LATE_MS * 30 // 1000)),
        Outcome(
            "rests while the picture is too old, goes on with a fresh one",
            frozenset({Mode.ARMED, Mode.HOLD}),
            held_ms=CAMERA_MS + PLAN_MS + LATE_MS,
        ),
    ),
    (
        "camera stops",
        "no more pictures",
        inject.show(lambda _: None),
        held(CAMERA_MS + PLAN_MS),
    ),
    (
        "camera of another size",
        "replaced by one of another height",
        inject.replace_camera,
        held(CAMERA_MS + PLAN_MS),
    ),
    (
        "camera unplugged",
        "its server goes, and comes back",
        inject.unplug,
        held(CAMERA_MS + PLAN_MS),
    ),
    ("inference gives NaN", "an ONNX model that does", inject.engine_fails("nan"), held(PLAN_MS)),
    ("inference gives 1e30", "an ONNX model that does", inject.engine_fails("huge"), SAFE),
    (
        "inference gives another shape",
        "an ONNX model that does",
        inject.engine_fails("shape"),
        held(PLAN_MS),
    ),
    ("inference throws", "an ONNX model that does", inject.engine_fails("throw"), held(PLAN_MS)),
    ("inference hangs", "an ONNX loop without end", inject.engine_fails("hang"), held(PLAN_MS)),
)
_ROBOT = (
    ("robot state stops", "nothing is sent", inject.nothing, held(STATE_MS)),
    ("robot state of NaN", "every joint is NaN", inject.said(float("nan")), held(STATE_MS)),
    ("robot state of 1e6", "every joint is 1e6", inject.said(1e6), SAFE),
    ("robot state of 1e300", "every joint is 1e300", inject.said(1e300), SAFE),
    ("robot state incomplete", "one joint only", inject.said({"j0": 0.0}), held(STATE_MS)),
    ("robot state of words", "strings for numbers", inject.said({"j0": "up"}), held(STATE_MS)),
)
_GONE = Outcome(
    f"rests within {CONTROLLER_MS} ms, FAULT {FAULT_AFTER_MS} ms later, only an operator re-arms",
    frozenset({Mode.FAULT}),
)
_WORLD: tuple[tuple[str, str, Injection, Outcome], ...] = (
    ("controller leaves", "its sockets close", inject.leave, _GONE),
    ("controller killed", "kill -9 of its process", inject.kill_controller, _GONE),
    ("CPU hog", "2 busy processes per core", inject.hog_cpu, SAFE),
    ("memory hog", "a process that walks through 2 GiB", inject.hog_memory, SAFE),
    ("junk on the state socket", "10 000 messages/s", inject.flood("state"), SAFE),
    ("junk on the actions socket", "10 000 messages/s upstream", inject.flood("actions"), SAFE),
    (
        "controller leaves after junk",
        "10 000 messages/s on the actions socket before",
        inject.flood_and_leave,
        _GONE,
    ),
    ("junk on the control socket", "10 000 messages/s", inject.flood_and_stop, STOPPED),
)


def _no_compiler() -> str:
    return "" if shutil.which("cc") else "a wall clock of its own needs a C compiler"


def _no_mount() -> str:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "mounting a small disk needs root"
    return ""


CLOCK = Setup(clock=True)
DISK = Setup(small_disk=True)


def _all() -> Iterator[Fault]:
    yield from _process_faults()
    armed = Mode.ARMED
    for name, how, stroke, outcome in _PLAN_FAULTS:
        yield Fault(name, how, armed, outcome, scribbles.scribble(stroke))
    for name, how, speech, outcome in _ROBOT:
        yield Fault(name, how, armed, outcome, inject.robot_says(speech))
    for name, how, injection, outcome in _WORLD:
        yield Fault(name, how, armed, outcome, injection, lasts_s=3.0)
    for name, how, injection, outcome in _PICTURES:
        lasts_s = 4.0 if name == "camera late" else 1.5
        spends = name == "inference hangs"
        yield Fault(
            name, how, armed, outcome, injection, setup=_WEBCAM, lasts_s=lasts_s, spends=spends
        )
    for hours in (1, -1):
        yield Fault(
            f"wall clock steps {hours:+d} h",
            "a preloaded clock in every process",
            armed,
            UNDISTURBED,
            inject.step_clock(hours * 3600),
            setup=CLOCK,
            needs=_no_compiler,
        )
    yield Fault(
        "disk full under the recorder",
        "a small disk filled to the last byte, and the recorder killed",
        armed,
        UNDISTURBED,
        inject.fill_disk,
        setup=DISK,
        needs=_no_mount,
    )


FAULTS: tuple[Fault, ...] = tuple(_all())
