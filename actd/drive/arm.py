"""What is driven: anything that connects, reads, takes a command and closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from actd import crash
from actd.errors import ActdError


class Arm(Protocol):
    """A robot's driver. Every method may raise anything; one thread calls them all."""

    def connect(self) -> object:
        """Open the bus. The arm must not move."""
        ...

    def read(self) -> Mapping[str, float]:
        """What is measured: joint -> value, in the policy's units."""
        ...

    def command(self, targets: Mapping[str, float], /) -> object:
        """Send joint -> target to the motors, and return without waiting for the motion."""
        ...

    def close(self) -> object:
        """Close the bus."""
        ...


@dataclass(frozen=True, slots=True)
class Joints:
    """What an arm says of its joints.

    `measured` and `commanded` are names in the arm's order, None where it does not say before it
    is used. `units` by joint, where known. `ordered`: the order is the one its data sets have.
    """

    measured: tuple[str, ...]
    commanded: tuple[str, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = False


def words(error: BaseException) -> str:
    """What a driver's exception says, with its cause, on one line; ours are lines already."""
    if isinstance(error, ActdError):
        return str(error)
    cause = error.__cause__
    return f"{crash.words(error)} ({crash.words(cause)})" if cause else crash.words(error)
