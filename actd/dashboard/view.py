"""What the page shows and orders, as the daemon's process gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class Picture(NamedTuple):
    """One camera image as JPEG, and how old it was when it was encoded."""

    jpeg: bytes
    age_ms: float


class View(Protocol):
    """The daemon as the page sees it. Everything is JSON data unless said otherwise."""

    def live(self) -> dict[str, Any]:
        """The newest tick: mode, reason, whether a leader is there, joints, cameras, the chunk."""

    def history(self, after: int) -> dict[str, Any]:
        """Seconds and events with a number above `after`."""

    def tick(self, number: int) -> dict[str, Any] | None:
        """One tick, from the flight log where it is older; None where it is not there any more.

        Raises RecordingError.
        """

    def picture_of(self, number: int, camera: str) -> bytes | None:
        """The JPEG that a camera had at a tick, None where there is none any more.

        Raises RecordingError.
        """

    def config(self) -> list[dict[str, Any]]:
        """Every value of the deployment: key, value, origin, and its line in the file with the
        remark there.
        """

    def picture(self, camera: str) -> Picture | None:
        """The newest image; None where there is none. Raises KeyError for another camera."""

    async def status(self) -> dict[str, Any]:
        """As `actd status --json`. Raises LinkError where the daemon does not answer."""

    async def order(self, command: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Arm, takeover, hold, stop, reset or keep; episode, with `fields` do and place.

        Raises LinkError with the reasons of a refusal.
        """
