"""The operator's side of the link: arm, hold, stop, reset, park, takeover, status, hello, ping.

One request, one answer: orders on port 9874, everything else on 9873. A refusal (arming without
a fresh camera, say) and a daemon that does not answer both raise LinkError with the reason.
"""

from __future__ import annotations

from typing import Any

import zmq

from actd.errors import LinkError
from actd.link import sockets
from actd.link.request import START, request

_BEGINS_MOTION = ("arm", "reset", "park", "approach", "takeover")
_CONTROL = ("ping", "hold", "stop", *_BEGINS_MOTION)
# After that the daemon refuses the order: who hears of silence hears it when it is void.
_ORDER_MS = 1500
_PERHAPS = "the order may have been obeyed all the same; ask `actd status`"


class Operator:
    """A connection to the daemon. Not thread-safe; a context manager.

    timeout_s: how long an answer may take before LinkError.
    robot: which robot is meant; LinkError when another one answers. "" takes any.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        ports: sockets.Ports | None = None,
        timeout_s: float = 3.0,
        robot: str = "",
    ) -> None:
        ports = ports or sockets.Ports()
        self._control = sockets.endpoint(host, ports.control)
        self._status = sockets.endpoint(host, ports.status)
        self._timeout_ms = round(timeout_s * 1000)
        self._robot = robot
        self._context: zmq.Context[Any] = zmq.Context()

    def hello(self) -> dict[str, Any]:
        """What the daemon is: robot, joints, units, rates, cameras, engine hash, schema."""
        return self.request("hello")

    def status(self) -> dict[str, Any]:
        """Mode, cadence, cameras, inference and faults, as of now."""
        return self.request("status")

    def arm(self) -> dict[str, Any]:
        """Let the policy drive. LinkError names every precondition that does not hold.

        `warnings` in the answer are for the operator to read.
        """
        return self.request("arm")

    def approach(self) -> dict[str, Any]:
        """Move to where the policy starts and arm there: `actd arm --from-here`.

        As `park`, and LinkError names what would prevent `arm`, but for the distance.
        """
        return self.request("approach")

    def park(self) -> dict[str, Any]:
        """Move to the pose `park` and hold there.

        The answer, and every `ping` until the mode is no longer MOVING, has `move`: the `share` of
        the way that is done and `left_s`. `hold` and `stop` end it at once.
        """
        return self.request("park")

    def takeover(self) -> dict[str, Any]:
        """Let the leader arm lead whose place comes with the state; `arm` gives back to the policy.

        LinkError names what prevents it, such as joints of the leader that are far from the arm.
        """
        return self.request("takeover")

    def hold(self) -> dict[str, Any]:
        """Ramp to rest and stay until armed again."""
        return self.request("hold")

    def stop(self) -> dict[str, Any]:
        """Ramp to rest and latch STOP; `reset` leads back to IDLE."""
        return self.request("stop")

    def reset(self) -> dict[str, Any]:
        """Leave FAULT or STOP for IDLE."""
        return self.request("reset")

    def ping(self) -> dict[str, Any]:
        """Which robot it is, its mode and the reason, from the process that moves it."""
        return self.request("ping")

    def record(self, path: str, task: str, **options: Any) -> dict[str, Any]:
        """Begin an episode of the LeRobotDataset in `path`, absolute and the daemon's.

        options: `fps` (default: the policy's rate), `seconds` (default: until
        `stop_recording`), and `scored`: each episode that `episode` starts becomes one of the
        dataset's, until `stop_recording`. The answer's `recording` is as in `status`.
        """
        return self.request("record", do="start", path=path, task=task, **options)

    def stop_recording(self) -> dict[str, Any]:
        """End the episode. It is saved a moment later: `status` says when."""
        return self.request("record", do="stop")

    def keep(self) -> dict[str, Any]:
        """Save the last seconds of pictures. It is done when the `orders` of `pictures` in `status`
        have reached the answer's `order`; `newest` is then the file.
        """
        return self.request("keep")

    def episode(self, do: str, place: str = "") -> dict[str, Any]:
        """Open an episode (`start`), or score the open one: `success`, `failure`, `discard`.

        The answer's `episodes` is as in `status`: `open`, `last`, counts, `rate`, `interval`.
        """
        return self.request("episode", do=do, **({"place": place} if place else {}))

    def request(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send one command and return the answer. Raises LinkError on refusal or silence.

        What begins motion asks first which robot it is and what time: such an order is obeyed
        within a second of that, or never.
        """
        timeout_ms, remedy = self._timeout_ms, START
        order: dict[str, Any] = {"robot": self._robot} if self._robot else {}
        if command in _BEGINS_MOTION:
            asked = self.ping()
            order = {"robot": asked.get("robot"), "stamp_ns": asked.get("stamp_ns")}
            timeout_ms, remedy = max(timeout_ms, _ORDER_MS), _PERHAPS
        address = self._control if command in _CONTROL else self._status
        answer = request(
            self._context, address, command, timeout_ms, remedy=remedy, **order, **fields
        )
        name = answer.get("robot", "")
        if self._robot and name != self._robot:
            raise LinkError(
                f"{address}: this is robot {name or '(nameless)'}, not {self._robot}; "
                "check --config, host and ports"
            )
        return answer

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
