"""The operator's side of the link: arm, hold, stop, reset, status, hello, ping.

One request, one answer, on port 9874. A refusal (arming without a fresh camera, say) and
a daemon that does not answer both raise LinkError with the reason.
"""

from __future__ import annotations

from typing import Any

import zmq

from actd.errors import LinkError
from actd.link import messages, sockets


class Operator:
    """A connection to the daemon's control socket. Not thread-safe; a context manager.

    timeout_s: how long an answer may take before LinkError.
    """

    def __init__(
        self, host: str = "127.0.0.1", ports: sockets.Ports | None = None, timeout_s: float = 3.0
    ) -> None:
        self._address = sockets.endpoint(host, (ports or sockets.Ports()).control)
        self._timeout_ms = round(timeout_s * 1000)
        self._context: zmq.Context[Any] = zmq.Context()

    def hello(self) -> dict[str, Any]:
        """What the daemon is: joints, units, rates, cameras, engine hash, schema."""
        return self.request("hello")

    def status(self) -> dict[str, Any]:
        """Mode, cadence, cameras, inference and faults, as of now."""
        return self.request("status")

    def arm(self) -> dict[str, Any]:
        """Let the policy drive. LinkError names every precondition that does not hold."""
        return self.request("arm")

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
        """An empty answer, if anyone is there."""
        return self.request("ping")

    def record(self, path: str, task: str, **options: Any) -> dict[str, Any]:
        """Begin an episode of the LeRobotDataset in `path`, absolute and the daemon's.

        options: `fps` (default: the policy's rate) and `seconds` (default: until
        `stop_recording`). The answer's `recording` is as in `status`.
        """
        return self.request("record", do="start", path=path, task=task, **options)

    def stop_recording(self) -> dict[str, Any]:
        """End the episode. It is saved a moment later: `status` says when."""
        return self.request("record", do="stop")

    def request(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send one command and return the answer. Raises LinkError on refusal or silence."""
        # A REQ socket is stuck after a lost answer, so every request has a fresh one.
        socket = sockets.control_client(self._context, self._address)
        try:
            socket.send(messages.pack_map({"cmd": command, **fields}))
            if not socket.poll(self._timeout_ms, zmq.POLLIN):
                raise LinkError(
                    f"{self._address}: no actd answers within {self._timeout_ms} ms: "
                    "start one with `actd run actd.yaml`, or check host and port"
                )
            answer = messages.parse_map(socket.recv())
        finally:
            socket.close()
        if not answer.get("ok"):
            raise LinkError(f"{command} refused: {answer.get('error', 'no reason given')}")
        return answer

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
