"""Ports that a signal or a late answer has left behind. With LeRobot's drivers: test_lerobot.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

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
