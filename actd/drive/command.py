"""`actd drive`: from flags to a robot that follows the daemon, and the way out.

Nothing is connected before the daemon has said what it expects, and nothing is commanded before the
robot was compared with that. Every way out ends in: come to rest, speeds to 0, close.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from actd import program
from actd.client import Operator, Robot, realtime
from actd.drive import lerobot_arm, lerobot_leader, options, own_arm, prompt
from actd.drive.agreement import disagreement, leader_disagreement
from actd.drive.arm import Arm, Joints, words
from actd.drive.bus_loop import BusLoop, LoopSettings, Say
from actd.drive.ending import CutShort, Ending
from actd.drive.leader import LeaderLoop
from actd.drive.options import Options
from actd.drive.reporter import Reporter
from actd.drive.rest import come_to_rest, stand_still
from actd.errors import ActdError, ArmError, ConfigError, LinkError, UsageError
from actd.link.request import as_sent
from actd.link.sockets import Ports

# Above all that is not real-time; below the interrupt threads (50) of a real-time kernel: they
# bring the bytes that a serial driver waits for by looking again and again.
_PRIORITY = 10
_CONFIG = Path("actd.yaml")
_ALONE_MS = 500
_SLOW_S = 2.0


def main() -> None:
    """Entry point of `actd drive`."""
    program.run(lambda: drive(sys.argv[2:]))


def drive(arguments: Sequence[str]) -> None:
    """The command. Raises ActdError; returns after the first Ctrl-C, SIGTERM or SIGHUP."""
    chosen = options.parse(arguments)
    if chosen.ask_to_arm:
        prompt.check_terminal()
    reporter, ending = Reporter(), Ending()
    try:
        with ending.watched():
            summary = _drive(chosen, ending, reporter.say)
    except (ActdError, CutShort) as error:
        raise _outcome(error, ending, reporter.say) from None
    finally:
        with suppress(KeyboardInterrupt):  # or its last line would be lost
            reporter.close()
    if chosen.json:
        sys.stdout.write(f"{json.dumps(summary)}\n")


def _outcome(error: ActdError | CutShort, ending: Ending, say: Say) -> ActdError | CutShort:
    """What it ends with that does not end well."""
    if ending.interrupted:  # whatever a driver made of that
        say(f"{ending.interrupted}: nothing was commanded")
        return CutShort(ending.interrupted)
    if isinstance(error, ActdError):
        return error
    if (cause := _cause(error)) is not None:
        say(str(error))
        return cause
    motors = "the motors keep what they were told last"
    if str(error) in ("SIGINT", "SIGTERM", "SIGHUP"):
        say(f"{error}: {motors}")
        return error
    return ArmError(f"{error}; {motors}")


def _cause(error: BaseException) -> ActdError | None:
    """What went wrong before a driver did not return on the way out."""
    while not error.__suppress_context__ and error.__context__ is not None:
        error = error.__context__
        if isinstance(error, ActdError):
            return error
    return None


def _drive(chosen: Options, ending: Ending, say: Say) -> dict[str, Any]:
    own = own_arm.load_arm(chosen.arm) if chosen.arm else None
    name, ports = _link(chosen, say)
    with Operator(chosen.host, ports, robot=name) as operator:
        hello = operator.hello()
        robot = str(hello.get("robot", ""))
        arm = own or _lerobot_arm(chosen, say)
        leader = _leader(chosen, say)
        _check_alone(operator)

        def agree(joints: Joints, hello: Mapping[str, Any]) -> None:
            with as_sent():
                table = disagreement(hello, joints, any_order=chosen.any_order)
                if not table and leader is not None and leader.joints is not None:
                    table = leader_disagreement(hello, leader.joints)
            if table:
                raise UsageError(table)

        if isinstance(arm, lerobot_arm.LeRobotArm):
            agree(arm.joints, hello)
        priority = None if chosen.realtime == "off" else _PRIORITY
        own_operator = partial(Operator, chosen.host, ports, robot=robot)
        with (
            _images(arm, chosen, hello, ending, say),
            _connected(leader, "leader: ", ending, say),
            _connected(arm, "", ending, say),
            Robot(robot, chosen.host, ports, realtime_priority=priority) as link,
            own_operator() as orders,
        ):
            joints = _joints(arm, say)
            agree(joints, hello)
            with as_sent():
                settings = _settings(hello, chosen)
            say(f"{robot}: driven at {1e9 / settings.period_ns:g} Hz; Ctrl-C leaves")
            if leader is not None:
                leader.begin(settings.period_ns)
            if chosen.ask_to_arm:
                arming: prompt.Arming = "approach" if chosen.from_here else "arm"
                prompt.start(own_operator, say, arming, leader=leader is not None)
            if priority is not None:
                _be_punctual(priority, say)

            def agree_again() -> None:
                agree(joints, operator.hello())

            loop = BusLoop(arm, link, settings, say, agree_again, leader=leader)
            _run(loop, orders, ending, say, park=chosen.at_end == "park")
    summary = {"robot": robot, "failures": loop.failures, **loop.times.summary()}
    say(f"left: {summary['cycles']} cycles, {loop.failures} failed; {loop.times.line()}")
    return summary


def _check_alone(operator: Operator) -> None:
    """Raise LinkError where another program drives this robot: with two, an armed daemon faults."""
    with as_sent():
        acknowledged_ms = operator.status()["acknowledged_ms"]
        if acknowledged_ms is not None and acknowledged_ms < _ALONE_MS:
            raise LinkError(
                f"another program drives this robot, it acknowledged {acknowledged_ms:.0f} ms ago; "
                "end that one first"
            )


def _run(loop: BusLoop, operator: Operator, ending: Ending, say: Say, *, park: bool) -> None:
    """Cycle until asked to end; then come to rest. Speeds are 0 at the end, whatever ends it;
    raises ArmError where one may not be.
    """
    ending.begin()
    before = ""
    # Who still waits for an answer does so when the wheels stand.
    with ThreadPoolExecutor(1) as pool:
        try:
            while not ending.requested:
                loop.cycle()
            say(f"{ending.requested}: leaving")
            come_to_rest(loop, operator, pool, say, ending.alive, park=park)
        except (Exception, CutShort) as error:
            before = f"{error if isinstance(error, CutShort) else words(error)}; then "
            raise
        finally:
            try:
                ending.leave()
            finally:
                turning = stand_still(loop)
                if turning:
                    raise ArmError(f"{before}{turning}")


def _lerobot_arm(chosen: Options, say: Say) -> Arm:
    with _said_when_slow("LeRobot is being loaded", say):
        robot, notes = lerobot_arm.make_arm(
            chosen.robot,
            keep_torque=chosen.torque == "keep",
            keep_cameras=chosen.cameras == "robot",
        )
    for note in notes:
        say(note)
    return robot


@contextmanager
def _images(
    arm: Arm, chosen: Options, hello: Mapping[str, Any], ending: Ending, say: Say
) -> Iterator[None]:
    """The robot's own images at the daemon's disposal, where that was asked for."""
    if chosen.cameras != "robot" or not isinstance(arm, lerobot_arm.LeRobotArm):
        yield
        return
    host, port = chosen.image_server
    with arm.serving(host, port, say):
        say(f"images at {host}:{port}, type: zmq in actd.yaml: camera_name {', '.join(arm.images)}")
        with as_sent():
            others = [str(name) for name in hello["cameras"] if name not in arm.images]
        if others:
            say(
                f"the policy's {', '.join(others)} is none of them: another camera_name in "
                "actd.yaml, another camera, or another name in --robot.cameras"
            )
        try:
            yield
        finally:
            ending.leave()


def _leader(chosen: Options, say: Say) -> LeaderLoop | None:
    if not chosen.leader and not chosen.teleop:
        return None
    own = own_arm.load_leader(chosen.leader) if chosen.leader else None
    leader = own or lerobot_leader.make_leader(chosen.teleop)
    return LeaderLoop(leader, say, follows=chosen.teleop_motors == "follow")


@contextmanager
def _said_when_slow(what: str, say: Say) -> Iterator[None]:
    """Around what may take long, or for ever where a driver blocks: says so, once."""
    timer = threading.Timer(_SLOW_S, say, (f"{what}; waiting",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _connected(
    device: Arm | LeaderLoop | None, which: str, ending: Ending, say: Say
) -> Iterator[None]:
    if device is None:
        yield
        return
    try:
        try:
            with _said_when_slow(f"{which}connect: the driver has not returned yet", say):
                device.connect()
        except ActdError:
            raise
        except Exception as error:  # noqa: BLE001  a driver may raise anything
            raise ArmError(f"{which}connect: {words(error)}; check power, cable and port") from None
        yield
    finally:
        try:
            ending.leave()
        finally:
            try:
                device.close()
            except Exception as error:  # noqa: BLE001  a driver may raise anything
                say(f"{which}close: {words(error)}")


def _joints(arm: Arm, say: Say) -> Joints:
    """What a connected arm says of its joints: a class of one's own, by what it measures."""
    if isinstance(arm, lerobot_arm.LeRobotArm):
        return arm.joints
    try:
        with _said_when_slow("read: the driver has not returned yet", say):
            reading: object = arm.read()
    except Exception as error:  # noqa: BLE001  a driver may raise anything
        raise ArmError(f"read: {words(error)}; return {{joint: value}}") from None
    if not isinstance(reading, Mapping):
        raise ArmError(f"read: returned a {type(reading).__name__}; return {{joint: value}}")
    return Joints(measured=tuple(map(str, reading)))


def _settings(hello: Mapping[str, Any], chosen: Options) -> LoopSettings:
    """Raises ValueError and others for a `hello` that is none."""
    rate_hz = float(hello["rate_hz"])
    if not 1 <= rate_hz <= 10_000:
        raise ValueError(f"rate_hz: {rate_hz}")
    kinds = hello["kinds"]
    return LoopSettings(
        joints=tuple(map(str, hello["joints"])),
        state=tuple(dict.fromkeys(map(str, [*hello["state"], *hello["joints"]]))),
        speeds=frozenset(name for name, kind in kinds.items() if kind == "velocity"),
        period_ns=round(1e9 / rate_hz),
        boot=str(hello["boot"]),
        patience_ns=round(chosen.patience_s * 1e9),
    )


def _link(chosen: Options, say: Say) -> tuple[str, Ports]:
    """Which robot is meant ("": whoever is there), and its ports."""
    if chosen.ports is not None:
        return "", chosen.ports
    path = chosen.config or _CONFIG
    if chosen.config is None and not path.exists():
        return "", Ports()
    try:
        from actd.config import link_of
    except ImportError as error:
        if chosen.config is not None:
            raise UsageError(
                f"--config: {path} cannot be read without {error.name}; pip install {error.name}, "
                "or say --ports"
            ) from None
        say(f"{path}: not read, {error.name} is not installed here; ports 9871-9874 are used")
        return "", Ports()
    link = link_of(path)
    if link.problems:
        raise ConfigError("\n".join(link.problems))
    return link.robot, link.ports


def _be_punctual(priority: int, say: Say) -> None:
    # LeRobot has loaded torch.
    for measure, outcome in realtime(priority, lock_memory=False).items():
        if outcome != "ok":
            say(f"realtime: {measure} {outcome}")
