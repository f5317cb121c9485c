"""Every problem of the table, and the facts in which it is found: from a computer that is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from actd.cameras.config import (
    CameraConfig,
    OpenCVConfig,
    PluginConfig,
    RealSenseConfig,
    SourceKind,
)
from actd.doctor.checks import cameras, computer, deployment, robot, timing
from actd.doctor.facts import (
    CheckpointHere,
    Daemon,
    EngineHere,
    Facts,
    IdleState,
    PortHere,
    UsbPort,
    Zone,
)
from actd.doctor.finding import Problem
from actd.holders import Holder
from actd.timing import percentiles

HOLDER = Holder(7, "cheese")
REFUSED = "not granted: Operation not permitted"


class Case(NamedTuple):
    """`problem` is found in `worse(facts)`, and `words` are in what is said of it."""

    problem: Problem
    worse: Callable[[Facts], Facts]
    words: str = ""


def here(**values: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, computer=replace(facts.computer, **values))


def loops(**values: Any) -> Callable[[Facts], Facts]:
    def worse(facts: Facts) -> Facts:
        assert facts.loops is not None
        return replace(facts, loops=replace(facts.loops, **values))

    return worse


def deployed(**values: Any) -> Callable[[Facts], Facts]:
    def worse(facts: Facts) -> Facts:
        assert facts.deployment is not None
        return replace(facts, deployment=replace(facts.deployment, **values))

    return worse


def camera(settings: Mapping[str, Any] | None = None, **values: Any) -> Callable[[Facts], Facts]:
    """The first camera; `values` of it or of its look."""

    def worse(facts: Facts) -> Facts:
        first, *others = facts.cameras
        assert first.look is not None
        config = first.config.model_copy(update=dict(settings or {}))
        looked = {key: value for key, value in values.items() if hasattr(first.look, key)}
        look = replace(first.look, **looked)
        rest = {key: value for key, value in values.items() if key not in looked}
        changed = replace(first, **({"config": config, "look": look} | rest))
        return replace(facts, cameras=(changed, *others))

    return worse


def on_usb(mbit_s: float, devices: tuple[str, str], **settings: Any) -> Callable[[Facts], Facts]:
    """Both cameras on one bus."""

    def worse(facts: Facts) -> Facts:
        return replace(
            facts,
            cameras=tuple(
                replace(
                    one,
                    config=one.config.model_copy(update=settings),
                    usb=UsbPort("usb1", device, mbit_s),
                )
                for one, device in zip(facts.cameras, devices, strict=True)
            ),
        )

    return worse


def daemon(**values: Any) -> Callable[[Facts], Facts]:
    """A daemon runs."""

    def worse(facts: Facts) -> Facts:
        running = Daemon(
            robot="test-robot",
            mode="IDLE",
            state_age_ms=10.0,
            rejected=0,
            rejection="",
            lateness_us={"p50": 50.0, "p999": 90.0, "max": 95.0},
            period_ms=20.0,
            missed=0,
            cameras={"cam_high": "ok"},
            engine="running",
            flight="running",
            granted={"sched_fifo": "ok"},
        )
        return replace(facts, daemon=replace(running, **values), ticks=(HOLDER,))

    return worse


def on_a_gpu(**values: Any) -> Callable[[Facts], Facts]:
    def worse(facts: Facts) -> Facts:
        assert facts.deployment is not None
        assert facts.deployment.manifest is not None
        manifest = facts.deployment.manifest.model_copy(update={"runtime": "trt"})
        return replace(facts, deployment=replace(facts.deployment, manifest=manifest), **values)

    return worse


def hot_gpu(facts: Facts) -> Facts:
    assert facts.gpu is not None
    return on_a_gpu(gpu=replace(facts.gpu, celsius=91.0))(facts)


def full(**values: Any) -> Callable[[Facts], Facts]:
    def worse(facts: Facts) -> Facts:
        assert facts.disk is not None
        return replace(facts, disk=replace(facts.disk, **values))

    return worse


def heard(**values: Any) -> Callable[[Facts], Facts]:
    def worse(facts: Facts) -> Facts:
        assert facts.controller is not None
        return replace(facts, controller=replace(facts.controller, **values))

    return worse


def engine(**values: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(
        facts, engine=replace(facts.engine or EngineHere((), None), **values)
    )


SOURCES: Mapping[SourceKind, CameraConfig] = {
    "device": OpenCVConfig(index_or_path="/dev/video0", fps=30),
    "file": OpenCVConfig(index_or_path="a.avi", fps=30),
    "url": OpenCVConfig(index_or_path="http://127.0.0.1/a", fps=30),
    "realsense": RealSenseConfig(type="intelrealsense", serial_number_or_name="1", fps=30),
    "plugin": PluginConfig(type="of-a-test", fps=30),
}
LATE = percentiles([12_000_000] * 1000)
JITTERY = percentiles([3_000_000] * 1000)

CASES = (
    Case(
        deployment.INVALID,
        deployed(config=None, manifest=None, errors=("actd.yaml:3:1: x: wrong; write y",)),
        "write y",
    ),
    Case(deployment.DOUBTFUL, deployed(warnings=("robot.units: rad, but trained to 90",))),
    Case(
        deployment.ENGINE_UNUSABLE,
        deployed(manifest=None, engine_error="model.onnx: 3 bytes, built with 4; rebuild with: x"),
        "rebuild with: x",
    ),
    Case(
        deployment.RUNTIME_MISSING,
        engine(missing=("openvino cannot be imported; pip install 'actd[openvino]'",), parity=None),
        "pip install 'actd[openvino]'",
    ),
    Case(deployment.OTHER_VERSION, engine(version_note="verified with 1, running on 2")),
    Case(deployment.TOO_FAR, engine(excess="worst joint 3 is off by 2"), "actd export"),
    Case(deployment.NOT_COMPUTED, engine(parity=None, error="reference.npz: not an archive")),
    Case(
        deployment.CHECKPOINT_UNREADABLE,
        lambda facts: replace(facts, checkpoint=CheckpointHere("c", "c: no config.json; give one")),
    ),
    Case(
        deployment.CHECKPOINT_OTHER,
        lambda facts: replace(facts, checkpoint=CheckpointHere("c", same=False)),
        "actd export c --out DIR --engine ort-fp32",
    ),
    Case(
        deployment.PORT_TAKEN,
        lambda facts: replace(facts, ports=(PortHere("state", 9871, True, HOLDER),)),
        "stop cheese (pid 7)",
    ),
    Case(
        deployment.DAEMON_HANGS,
        lambda facts: replace(
            facts, ports=(PortHere("status", 9873, True, HOLDER),), ticks=(HOLDER,)
        ),
        "kill 7",
    ),
    Case(deployment.OTHER_ROBOT, daemon(robot="another"), "another has them"),
    Case(deployment.NOT_WRITABLE, full(error="/flights is no folder"), "/flights"),
    Case(deployment.DISK_FULL, full(free_mb=20.0)),
    Case(deployment.DISK_SHORT, full(free_mb=500.0)),
    Case(deployment.NO_GPU, on_a_gpu(gpu=None)),
    Case(deployment.GPU_HOT, hot_gpu, "91"),
    Case(
        cameras.NOT_OPENED,
        camera(look=None, error="camera cam_high (/dev/video0): no such device; plug it in"),
        "plug it in",
    ),
    Case(cameras.HELD, camera(look=None, error="busy", holders=(HOLDER,)), "stop cheese (pid 7)"),
    *(
        Case(cameras.SLOW[kind], camera(config=source, fps=12.0), "12.0 of 30 fps")
        for kind, source in SOURCES.items()
    ),
    Case(cameras.DAMAGED, camera(damaged=30), "30 of 90 images"),
    Case(cameras.FROZEN, camera({"detect_freeze": True}, unchanged_ms=1900.0), "1900 ms"),
    Case(
        cameras.UNLIKE,
        daemon(cameras={"cam_high": "unlike training: its images are darker"}),
        "its images are darker",
    ),
    Case(cameras.TOO_DARK, camera(brightness=3.0)),
    Case(cameras.TOO_BRIGHT, camera(brightness=252.0)),
    *(
        Case(cameras.GREY[kind], camera(config=source, grey=True))
        for kind, source in SOURCES.items()
    ),
    Case(cameras.SAME_DEVICE, on_usb(480.0, ("1-4", "1-4")), "cam_high and cam_low"),
    Case(
        cameras.BUS_FULL,
        on_usb(480.0, ("1-4", "1-5"), width=1280, height=720, fps=30.0, fourcc="YUYV"),
        "885 of 384 Mbit/s",
    ),
    Case(
        cameras.BUS_SHARED,
        on_usb(480.0, ("1-4", "1-5"), width=640, height=480, fps=30.0, fourcc="YUYV"),
        "295 of 384 Mbit/s",
    ),
    Case(
        timing.PRIORITY_REQUIRED,
        loops(wish="require", granted={"sched_fifo": REFUSED, "mlockall": "ok"}),
    ),
    Case(timing.NO_PRIORITY, loops(granted={"sched_fifo": REFUSED}), "rtprio"),
    Case(timing.NOT_LOCKED, loops(granted={"mlockall": REFUSED}), "memlock"),
    Case(timing.LATE, loops(tick=LATE), "p99.9 12.00"),
    Case(timing.JITTERY, loops(tick=JITTERY, granted={"sched_fifo": REFUSED}), "p99.9 3.00"),
    Case(
        timing.NOT_MEASURED,
        lambda facts: replace(facts, loops=None, loops_error="lateness: it ended: no memory"),
    ),
    Case(timing.STOLEN, loops(stolen_ms=500.0)),
    Case(computer.SLOW_GOVERNOR, here(governors={"powersave": 4}), "--tune"),
    Case(
        computer.DEEP_SLEEP,
        lambda facts: here(idle_states=(IdleState("C8", 200, True),))(
            loops(granted={"cpu_dma_latency": REFUSED})(facts)
        ),
    ),
    Case(computer.HOT, here(zones=(Zone("cpu", 93.0, 95.0),))),
    Case(computer.THROTTLED, here(throttled=12), "12 times"),
    Case(computer.UNDERVOLTED, here(firmware=0x50005), "under-voltage, throttled"),
    Case(computer.ON_BATTERY, here(on_battery=True)),
    Case(computer.SLOW_PROFILE, here(profile="balanced")),
    Case(computer.SLOW_MODE, here(power_mode="15W", fastest_mode=2), "nvpmodel -m 2"),
    Case(computer.NO_MEMORY, here(available_mb=100.0)),
    Case(computer.SWAPPING, here(swap_mb=4000.0, swap_used_mb=900.0)),
    Case(computer.SWAPPY, here(swap_mb=4000.0, swappiness=60)),
    Case(computer.UNSYNCHRONIZED, here(clock_synchronized=False)),
    Case(computer.SLOW_CLOCK, here(clocksource="hpet")),
    Case(computer.NO_REALTIME, here(rt_runtime_us=0), "950000"),
    Case(
        robot.REFUSED,
        heard(rejected=50, rejection="j3 missing; they name joint_3"),
        "they name joint_3",
    ),
    Case(robot.SILENT, daemon(state_age_ms=None), "port 9871"),
    Case(robot.UNLIKE, heard(unlike=("j3 is 90, training never left -1 to 1",)), "j3 is 90"),
)
