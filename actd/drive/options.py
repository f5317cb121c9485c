"""The flags of `actd drive`. LeRobot's own, which begin with `--robot.` and `--teleop.`, go through
untouched.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from actd.errors import UsageError
from actd.link.sockets import LOOPBACK, Ports

_ROBOT, _TELEOP = "--robot.", "--teleop."
_IMAGE_SERVER = ("127.0.0.1", 5555)
_USAGE = """\
actd drive --robot.type=so101_follower --robot.port=/dev/ttyACM0 --robot.id=blue
       actd drive my_arm.py:MyArm
       actd drive ... --teleop.type=so101_leader --teleop.port=/dev/ttyACM1 --teleop.id=black"""
_DESCRIPTION = """\
Connect a robot to the daemon: any robot of LeRobot, with LeRobot's own --robot. flags and in
LeRobot's environment, or a class of your own with connect, read, command and close. A leader arm,
with LeRobot's own --teleop. flags or --teleop=my_leader.py:MyLeader, takes over when told."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for: either `arm`, the place of a class, or `robot`, LeRobot's flags; of a
    leader likewise `leader` or `teleop`, or neither.
    """

    arm: str
    robot: tuple[str, ...]
    leader: str
    teleop: tuple[str, ...]
    teleop_motors: Literal["follow", "off"]
    cameras: Literal["none", "robot"]
    image_server: tuple[str, int]
    config: Path | None
    ports: Ports | None
    host: str
    ask_to_arm: bool
    from_here: bool
    at_end: Literal["hold", "park"]
    torque: Literal["keep", "release"]
    any_order: bool
    realtime: Literal["prefer", "off"]
    patience_s: float
    json: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"drive: {message}; see actd drive --help")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def add_usage(
        self, usage: str | None, actions: Any, groups: Any, prefix: str | None = None
    ) -> None:
        super().add_usage(usage, actions, groups, prefix or "Usage: ")


def parse(arguments: Sequence[str]) -> Options:
    """Raises UsageError; `--help` prints and raises SystemExit."""
    robot, ours = _split(arguments, _ROBOT)
    teleop, ours = _split(ours, _TELEOP)
    flags = flag_parser().parse_args(ours)
    if flags.arm and robot:
        raise UsageError(f"drive: both {flags.arm} and {robot[0]}; give one of them")
    if not flags.arm and not robot:
        raise UsageError(
            "drive: no robot; give LeRobot's flags, --robot.type=so101_follower "
            "--robot.port=/dev/ttyACM0, or a class of your own, my_arm.py:MyArm"
        )
    if flags.from_here and not flags.ask_to_arm:
        raise UsageError("--from-here: says how --arm arms; give both")
    if flags.leader and teleop:
        raise UsageError(f"drive: both --teleop={flags.leader} and {teleop[0]}; give one of them")
    if flags.teleop_motors and not (flags.leader or teleop):
        raise UsageError("--teleop-motors: of which leader? give --teleop.type, or --teleop")
    if flags.arm and flags.torque == "release":
        raise UsageError("--torque=release: is for LeRobot's robots; release it in close()")
    if flags.config and flags.ports:
        raise UsageError("drive: both --config and --ports; give one of them")
    if flags.image_server and flags.cameras != "robot":
        raise UsageError("--image-server: of which images? give --cameras=robot too")
    if flags.cameras == "robot" and flags.arm:
        raise UsageError(
            "--cameras=robot: is for LeRobot's robots; let the daemon open the cameras, or serve "
            "them yourself (cameras: in actd.yaml)"
        )
    flags.image_server = flags.image_server or _IMAGE_SERVER
    if flags.cameras == "robot" and _reaches_only_itself(flags.image_server, flags.host):
        raise UsageError(
            f"--cameras=robot: the daemon on {flags.host} cannot read from "
            f"{flags.image_server[0]}; give the address of this computer that it can reach, "
            "--image-server=ADDRESS:5555 (whoever else reaches it sees the images, too)"
        )
    flags.teleop_motors = flags.teleop_motors or "follow"
    return Options(robot=tuple(robot), teleop=tuple(teleop), **vars(flags))


def _split(arguments: Sequence[str], prefix: str) -> tuple[list[str], list[str]]:
    """LeRobot's flags of one device, each as `--robot.key=value`, and the others."""
    device: list[str] = []
    others: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith(prefix):
            others.append(word)
            continue
        if "=" not in word:
            if not waiting or waiting[0].startswith("--"):
                raise UsageError(f"{word}: without a value; give {word}=VALUE")
            word = f"{word}={waiting.pop(0)}"
        device.append(word)
    return device, others


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.5 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: give 0.5 to 3600 seconds")
    return value


def _ports(text: str) -> Ports:
    numbers = [int(part) for part in text.split(",") if part.strip().isdecimal()]
    if len(numbers) != 4 or not all(0 < number < 65536 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text}: give four ports, such as 9871,9872,9873,9874")
    return Ports(*numbers)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text}: give an address and a port: 127.0.0.1:5555")
    return host.strip("[]"), int(port)


def _reaches_only_itself(server: tuple[str, int], daemon: str) -> bool:
    return server[0] in LOOPBACK and daemon not in LOOPBACK


def flag_parser() -> argparse.ArgumentParser:
    """What reads the flags that are ours, and what `--help` prints."""
    parser = _Parser(
        prog="actd drive",
        usage=_USAGE,
        description=_DESCRIPTION,
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    add = parser.add_argument
    add("arm", nargs="?", default="", metavar="FILE.py:CLASS", help="a class of your own")
    add(
        "--arm",
        dest="ask_to_arm",
        action="store_true",
        help="ask at the terminal: Enter arms, or says every reason that prevents it, and Enter "
        "holds; t and Enter lets the leader take over, and again gives back",
    )
    add(
        "--teleop",
        dest="leader",
        default="",
        metavar="FILE.py:CLASS",
        help="a leader of your own, with connect, read and close; LeRobot's by its --teleop. flags",
    )
    add(
        "--teleop-motors",
        choices=("follow", "off"),
        help="of a leader that has some: bring it to where the arm is until it leads (default), or "
        "never move it",
    )
    add(
        "--from-here",
        action="store_true",
        help="with --arm: Enter first moves the arm to where the policy starts, as "
        "actd arm --from-here",
    )
    add(
        "--at-end",
        choices=("hold", "park"),
        default="hold",
        help="before leaving: ramp to rest where the arm is, or move it to the pose `park` of "
        "actd.yaml (default: hold)",
    )
    add(
        "--torque",
        choices=("keep", "release"),
        default="keep",
        help="of the motors after leaving (default: keep; released, an arm falls)",
    )
    add(
        "--cameras",
        choices=("none", "robot"),
        default="none",
        help="none: the daemon opens the cameras, the robot's are left alone (default); robot: "
        "those of --robot.cameras are opened here and served to the daemon, type: zmq in actd.yaml",
    )
    add(
        "--image-server",
        type=_address,
        metavar="ADDRESS:PORT",
        help="where --cameras=robot serves (default: 127.0.0.1:5555)",
    )
    add(
        "--any-order",
        action="store_true",
        help="accept a robot that has the joints of actd.yaml in another order",
    )
    add("-c", "--config", type=Path, help="deployment file that names the robot and its ports")
    add(
        "--ports",
        type=_ports,
        metavar="STATE,ACTIONS,STATUS,CONTROL",
        help="the daemon's ports, where there is no deployment file to say it",
    )
    add("--host", default="127.0.0.1", help="where the daemon runs (default: 127.0.0.1)")
    add(
        "--patience",
        dest="patience_s",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="leave when daemon or bus are silent for longer (default: 5)",
    )
    add(
        "--realtime",
        choices=("prefer", "off"),
        default="prefer",
        help="ask the kernel for SCHED_FIFO (default: prefer)",
    )
    add("--json", action="store_true", help="print a summary as JSON at the end")
    return parser
