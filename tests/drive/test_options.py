from __future__ import annotations

import pytest

from actd.drive.options import parse
from actd.errors import UsageError


def test_lerobots_flags_go_through_in_either_form() -> None:
    words = ["--robot.type", "so101_follower", "--torque=release", "--robot.port=/dev/ttyACM0"]
    options = parse([*words, "--patience", "2"])
    assert options.robot == ("--robot.type=so101_follower", "--robot.port=/dev/ttyACM0")
    assert (options.arm, options.torque, options.patience_s) == ("", "release", 2.0)


def test_a_leaders_flags_are_told_from_the_robots() -> None:
    words = ["--robot.type=so101_follower", "--teleop.type", "so101_leader", "--teleop.port=/dev/x"]
    options = parse([*words, "--arm"])
    assert options.robot == ("--robot.type=so101_follower",)
    assert options.teleop == ("--teleop.type=so101_leader", "--teleop.port=/dev/x")
    assert (options.leader, options.teleop_motors) == ("", "follow")
    own = parse(["a.py:A", "--teleop=b.py:B", "--teleop-motors=off"])
    assert (own.arm, own.leader, own.teleop, own.teleop_motors) == ("a.py:A", "b.py:B", (), "off")


def test_images_are_served_on_this_computer_unless_told() -> None:
    assert parse(["--robot.type=x"]).cameras == "none"
    options = parse(["--robot.type=x", "--cameras=robot"])
    assert (options.cameras, options.image_server) == ("robot", ("127.0.0.1", 5555))
    words = ["--robot.type=x", "--cameras=robot", "--host=10.0.0.7", "--image-server=[fd00::2]:5"]
    assert parse(words).image_server == ("fd00::2", 5)


def test_an_arm_of_ones_own_and_the_question_do_not_mix() -> None:
    assert parse(["my_arm.py:MyArm"]).ask_to_arm is False
    assert parse(["my_arm.py:MyArm", "--arm"]).ask_to_arm is True
    assert parse(["--arm", "my_arm.py:MyArm"]).arm == "my_arm.py:MyArm"
    assert parse(["my_arm.py:MyArm", "--arm", "--from-here"]).from_here is True


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "drive: no robot; give LeRobot's flags"),
        ("a.py:A --robot.type=x", "drive: both a.py:A and --robot.type=x; give one of them"),
        ("--robot.type", "--robot.type: without a value; give --robot.type=VALUE"),
        ("--robot.type --arm", "--robot.type: without a value"),
        ("a.py:A --speed=3", "drive: unrecognized arguments: --speed=3; see actd drive --help"),
        ("a.py:A --torque=off", "drive: argument --torque: invalid choice: 'off'"),
        ("a.py:A --from-here", "--from-here: says how --arm arms; give both"),
        ("a.py:A --patience=0", "0: give 0.5 to 3600 seconds"),
        ("a.py:A --patience=nan", "nan: give 0.5 to 3600 seconds"),
        ("a.py:A --patience=soon", "argument --patience: invalid"),
        ("a.py:A --cameras=robot", "--cameras=robot: is for LeRobot's robots; let the daemon"),
        ("--robot.type=x --image-server=1.2.3.4:5", "--image-server: of which images? give"),
        ("--robot.type=x --cameras=robot --image-server=5555", "5555: give an address and a port"),
        ("--robot.type=x --cameras=robot --image-server=a:0", "a:0: give an address and a port"),
        (
            "--robot.type=x --cameras=robot --host=10.0.0.7",
            "--cameras=robot: the daemon on 10.0.0.7 cannot read from 127.0.0.1; give the address",
        ),
        ("a.py:A --torque=release", "--torque=release: is for LeRobot's robots"),
        ("a.py:A -c a.yaml --ports 1,2,3,4", "drive: both --config and --ports"),
        ("a.py:A --ports 1,2,3", "1,2,3: give four ports, such as 9871,9872,9873,9874"),
        ("a.py:A --ports 1,2,3,70000", "1,2,3,70000: give four ports"),
        ("a.py:A b.py:B", "unrecognized arguments: b.py:B"),
        ("a.py:A --teleop.port", "--teleop.port: without a value; give --teleop.port=VALUE"),
        ("a.py:A --teleop=b.py:B --teleop.type=x", "drive: both --teleop=b.py:B and --teleop.type"),
        ("a.py:A --teleop-motors=off", "--teleop-motors: of which leader? give --teleop.type"),
        ("--teleop.type=x", "drive: no robot; give LeRobot's flags"),
    ],
)
def test_what_cannot_be_meant_is_one_line(words: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(words.split())
    assert told in str(error.value)
    assert "\n" not in str(error.value)
