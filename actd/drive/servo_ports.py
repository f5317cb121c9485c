"""The serial ports of servo buses (Feetech's and Dynamixel's SDK), cleared of what a call left.

Both SDKs mark a port as in use and then wait until all is sent. Linux ends that wait (tcdrain) with
EINTR at any signal, also at a stop and its continuation; Python hands it on, the mark stays, and
each later packet is refused for good: "Port is in use!". Nor do they drop what waits to be read
before they ask: after one answer that came too late every reading is the one before.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any


class ServoPorts:
    """The ports of `buses` (LeRobot's, connected or not). Between two calls of their driver nobody
    uses one.
    """

    def __init__(self, buses: Iterable[Any]) -> None:
        self._handlers: tuple[Any, ...] = tuple(
            bus.port_handler for bus in buses if hasattr(bus, "port_handler")
        )

    def clear(self) -> None:
        """Before each call of the driver: all ports are free, and no old answer waits in them."""
        for handler in self._handlers:
            # A port that is gone is for the driver to find; another arm's is cleared all the same.
            with suppress(Exception):
                handler.is_using = False
                if handler.is_open:
                    handler.ser.reset_input_buffer()
