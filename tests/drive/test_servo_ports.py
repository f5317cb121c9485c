"""Ports that a signal or a late answer has left behind. With LeRobot's drivers: test_lerobot.py."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from actd.drive import lerobot_devices
from actd.drive.lerobot_devices import ROBOT
from actd.drive.servo_ports import ServoPorts


class Port:
    """What the SDKs' port handlers have; `waiting` bytes were not read."""

    def __init__(self, *, gone: bool = False, is_open: bool = True) -> None:
        self.is_using = True
        self.is_open = is_open
        self.gone = gone
        self.waiting = 14
        self.ser: Any = self if is_open else None

    def reset_input_buffer(self) -> None:
        if self.gone:
            raise OSError(5, "Input/output error")
        self.waiting = 0


def bus(port: Port) -> SimpleNamespace:
    return SimpleNamespace(port_handler=port)


def test_a_port_is_free_and_empty() -> None:
    port = Port()
    ServoPorts([bus(port)]).clear()
    assert (port.is_using, port.waiting) == (False, 0)


def test_a_port_that_is_gone_keeps_no_other_from_being_cleared() -> None:
    gone, closed, well = Port(gone=True), Port(is_open=False), Port()
    ServoPorts([bus(gone), bus(closed), bus(well)]).clear()
    assert [port.is_using for port in (gone, closed, well)] == [False] * 3
    assert well.waiting == 0


def test_buses_without_such_a_port_are_left_alone() -> None:
    ServoPorts([object(), SimpleNamespace(port_handler=None)]).clear()


class Robot:
    """Lets its motors go in a packet that `errors` break into."""

    is_connected = True

    def __init__(self, port: Port, *errors: OSError) -> None:
        self._port, self._errors = port, list(errors)
        self.holds = True

    def disconnect(self) -> None:
        assert not self._port.is_using
        if self._errors:
            self._port.is_using = True
            raise self._errors.pop(0)
        self.holds = False


def test_a_robot_is_let_go_though_a_signal_breaks_into_that() -> None:
    port = Port()
    robot = Robot(port, *[OSError(errno.EINTR, "Interrupted system call")] * 2)
    lerobot_devices.disconnect(ROBOT, robot, ServoPorts([bus(port)]))
    assert not robot.holds


def test_a_robot_that_is_gone_is_not_asked_again() -> None:
    port = Port()
    robot = Robot(port, *[OSError(errno.EIO, "Input/output error")] * 2)
    with pytest.raises(OSError, match="Input/output"):
        lerobot_devices.disconnect(ROBOT, robot, ServoPorts([bus(port)]))
    assert robot.holds
