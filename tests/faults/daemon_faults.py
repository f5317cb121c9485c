"""What befalls the daemon and its computer: processes, images, chunks, load, clocks, its end."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace

from tests.faults import injections as inject
from tests.faults import mishaps, orders, scribbles
from tests.faults.deployment import (
    CAMERA_MS,
    CHUNK_MS,
    FAULT_AFTER_MS,
    FROZEN_MS,
    LATE_MS,
    Setup,
)
from tests.faults.fault import (
    ARMED,
    DIED,
    ENDS,
    ENDS_SILENT,
    FAULT,
    HOLD,
    IDLE,
    RESUMES,
    SAFE,
    STOP,
    STOPPED,
    TOO_LONG,
    UNDISTURBED,
    Fault,
    faulted,
    held,
    latched,
    unmoved,
)
from tests.faults.injections import Injection
from tests.faults.outcome import Outcome

# Far below what the policy asks for.
_TIGHT = Setup(velocity=0.5, acceleration=1.5)
# A second and more from full speed to rest.
_LONG_STOP = Setup(velocity=1.0, acceleration=0.2, turn_s=12.0)
_LATE = Setup(late=True)
_CLOCK = Setup(clock=True)
_DISK = Setup(small_disk=True)


def _processes() -> Iterator[Fault]:
    kill, stop = signal.SIGKILL, signal.SIGSTOP

    def fault(number: signal.Signals, target: str, outcome: Outcome, lasts_s: float) -> Fault:
        verb = "kill -9" if number is kill else "SIGSTOP"
        name = f"{verb} {'flight recorder' if target == 'flight' else target}"
        how = verb if number is kill else "SIGSTOP, then SIGCONT"
        return Fault(name, how, ARMED, outcome, inject.send(number, target), lasts_s=lasts_s)

    yield fault(kill, "flight", UNDISTURBED, 0.8)
    yield fault(stop, "flight", UNDISTURBED, 0.8)
    yield fault(stop, "inference", latched(CHUNK_MS, "the chunk is"), 0.3)
    for camera in ("camera cam_high", "camera cam_low"):
        yield fault(stop, camera, held(CAMERA_MS, camera), CAMERA_MS / 1e3 + 0.6)
    yield fault(kill, "inference", DIED, 0.3)
    yield fault(kill, "camera cam_high", DIED, 0.3)
    for seconds in (0.2, 0.5, 1.5, 3.0):
        outcome = RESUMES if seconds * 1e3 < FAULT_AFTER_MS else TOO_LONG
        name = f"SIGSTOP tick for {seconds:g} s"
        yield replace(fault(stop, "tick", outcome, seconds), name=name)
    yield Fault(
        "all processes stopped for 1 s",
        "SIGSTOP to the process group, then SIGCONT: as Ctrl-Z and fg",
        ARMED,
        RESUMES,
        inject.to_group(stop),
        lasts_s=1.0,
    )
    yield Fault(
        "SIGSTOP supervisor",
        "SIGSTOP; 0.6 s later an operator says stop",
        ARMED,
        STOPPED,
        orders.stop_without_supervisor,
    )
    for mode in (IDLE, HOLD, FAULT, STOP):
        yield Fault(
            "each process in turn",
            "SIGSTOP of all six for 0.4 s each; kill -9 of recorder, camera, inference",
            mode,
            unmoved(mode),
            inject.each_in_turn,
        )
    yield Fault(
        "100 kB without a line's end",
        "written to stderr and stdout of inference",
        ARMED,
        UNDISTURBED,
        inject.shout,
        lasts_s=0.8,
    )


def _ends() -> Iterator[Fault]:
    for mode in (ARMED, IDLE):
        outcome = replace(ENDS, ended=-9)
        kill = inject.send(signal.SIGKILL, "supervisor")
        yield Fault("kill -9 supervisor", "kill -9", mode, outcome, kill)
    yield Fault(
        "kill -9 tick",
        "kill -9; a second client looks 0.5 s later for the first time",
        ARMED,
        ENDS_SILENT,
        inject.kill_tick,
    )
    for number, why in (
        (signal.SIGHUP, "a terminal that closes"),
        (signal.SIGINT, "Ctrl-C"),
        (signal.SIGQUIT, "Ctrl-\\"),
        (signal.SIGTERM, "a service manager that ends everything"),
    ):
        how = f"{number.name} to the process group: {why}"
        yield Fault(f"{number.name} to all", how, ARMED, ENDS, inject.to_group(number))
    yield Fault(
        "end with a long way to rest",
        "SIGTERM, more than a second from rest at the limits",
        ARMED,
        replace(ENDS, promise=f"{ENDS.promise}, however long that takes"),
        orders.slow_end,
        setup=_LONG_STOP,
    )
    yield Fault(
        "armed while it ends",
        "SIGTERM as before, and an operator's `arm` during the ramp",
        ARMED,
        replace(ENDS, promise=f"`arm` is refused; {ENDS.promise}"),
        orders.arm_while_ending,
        setup=_LONG_STOP,
    )


def _images() -> Iterator[Fault]:
    def fault(
        name: str, how: str, outcome: Outcome, injection: Injection, lasts_s: float = 0.3
    ) -> Fault:
        return Fault(name, how, ARMED, outcome, injection, lasts_s=lasts_s)

    stale, frozen = held(CAMERA_MS, "camera cam_low is"), held(FROZEN_MS, "the same image")
    gone = latched(CAMERA_MS, "camera cam_low is")
    yield fault("camera freezes", "the same image", frozen, inject.show(inject.frozen), 1.1)
    yield fault("camera stops", "no images", stale, inject.show(lambda _: None), 1.0)
    yield fault("camera unplugged", "its server goes, and comes back", gone, inject.unplug)
    yield fault("camera of another size", "another height", gone, inject.replace_camera)
    yield fault(
        "camera drops", "2 of 3 images missing", UNDISTURBED, inject.show(inject.every(3)), 1.5
    )
    yield fault(
        "camera comes and goes",
        "an image every 700 ms",
        replace(
            faulted(4 * 700 + FAULT_AFTER_MS, "gaps again and again"),
            promise="HOLD in every gap, and FAULT when they add up",
            held_ms=700 + CAMERA_MS,
        ),
        inject.show(inject.every(21)),
    )
    refusing = held(CHUNK_MS, "the chunk is|the policy commands")
    for name, how, mood, outcome in (
        ("inference gives NaN", "no chunk", "nan", refusing),
        ("inference gives 1e30", "an unusable chunk", "huge", refusing),
        ("inference gives degrees", "45 + 57.3 times the chunk", "far", refusing),
        ("inference gives another shape", "3 rows too few", "shape", DIED),
        ("inference throws", "an index that is not there", "throw", DIED),
    ):
        lasts_s = 0.3 if outcome is DIED else CHUNK_MS / 1e3 + 0.6
        injection = inject.engine_fails(mood)
        yield fault(name, f"an ONNX model that does: {how}", outcome, injection, lasts_s)


def _chunks() -> Iterator[Fault]:
    sound = replace(SAFE, promise="followed is what is sound, or HOLD and FAULT")
    for name, how, stroke, outcome in (
        ("garbage in chunk bytes", "random bytes over records", scribbles.garbage, sound),
        ("half-written chunks", "no second number", scribbles.half_written, sound),
        ("chunk of 1e30", "whole records, valid checksums", scribbles.wild(1e30), sound),
        ("chunk of NaN", "whole records, valid checksums", scribbles.wild(float("nan")), sound),
        ("chunk from the future", "stamped an hour ahead", scribbles.from_the_future, sound),
    ):
        yield Fault(name, how, ARMED, outcome, scribbles.scribble(stroke), lasts_s=1.2)


def _world() -> Iterator[Fault]:
    for name, how, injection, outcome in (
        ("CPU hog", "2 busy processes per core", inject.hog_cpu, SAFE),
        ("memory hog", "a process that walks through 2 GiB", inject.hog_memory, SAFE),
        ("junk on the state socket", "10 000 messages/s", orders.flood("state"), SAFE),
        ("junk on the actions socket", "10 000 messages/s", orders.flood("actions"), SAFE),
        ("junk on the control socket", "10 000 messages/s", orders.flood_and_stop, STOPPED),
        ("junk on the status socket", "10 000 messages/s", orders.flood_and_ask, SAFE),
    ):
        yield Fault(name, how, ARMED, outcome, injection, lasts_s=2.0)


def _others() -> Iterator[Fault]:
    yield Fault(
        "limits far below the policy",
        "a quarter of its speed, a third of its acceleration",
        ARMED,
        replace(UNDISTURBED, promise="motion goes on, slower, inside what was planned"),
        inject.undisturbed,
        setup=_TIGHT,
        lasts_s=4.0,
    )
    yield Fault(
        "camera late",
        f"latency_ms {LATE_MS}: dated {LATE_MS} ms before the other; an operator arms",
        IDLE,
        replace(unmoved(IDLE), promise="no chunk of what does not fit; `arm` is refused"),
        mishaps.no_plan,
        setup=_LATE,
    )
    yield Fault(
        "wall clock steps",
        "an hour ahead, then two back, in every process",
        ARMED,
        UNDISTURBED,
        inject.step_wall_clock,
        setup=_CLOCK,
        needs=_no_compiler,
    )
    yield Fault(
        "computer suspended",
        "CLOCK_BOOTTIME gains an hour in every process",
        ARMED,
        replace(
            faulted(inject.SUSPENDED_MS, "no command was sent for 36"),
            promise="FAULT at once, only an operator re-arms",
        ),
        inject.suspend,
        setup=_CLOCK,
        needs=_no_compiler,
        spends=True,
    )
    yield Fault(
        "disk full under the recorder",
        "a small disk filled to the last byte, and the recorder killed",
        ARMED,
        UNDISTURBED,
        inject.fill_disk,
        setup=_DISK,
        needs=_no_mount,
    )
    yield Fault(
        "inference hangs",
        "an ONNX loop without end",
        ARMED,
        latched(CHUNK_MS, "the chunk is"),
        inject.engine_fails("hang"),
        spends=True,
    )


def _no_compiler() -> str:
    return "" if shutil.which("cc") else "a clock of its own needs a C compiler"


def _no_mount() -> str:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "mounting a small disk needs root"
    return ""


def daemon_faults() -> Iterator[Fault]:
    """All of them; those that end the daemon come last."""
    yield from _processes()
    yield from _images()
    yield from _chunks()
    yield from _world()
    yield from _others()
    yield from _ends()
