"""Starting, watching and ending one child process.

Its JSON lines on stdout become `condition`; its stderr goes to the log, and the last line
of it is the reason when it dies, and `on_death` is called. A child that may be restarted
is, at most five times a minute; one that may not, that fails more often, or that reports that it
was `refused`, stays down and says why. One that may finish does so by exiting with 0.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from actd.codec import encode
from actd.runtime import events
from actd.runtime.clock import now_ns
from actd.runtime.event_log import say
from actd.runtime.events import Event
from actd.runtime.process_entry import ProcessSettings
from actd.runtime.realtime import REFUSED, Outcome

_RESTARTS_MAX = 5
_RESTARTS_WINDOW_NS = 60_000_000_000
_RESTART_PAUSE_S = 0.5


class ChildProcess:
    """One `python -m actd.runtime.<module>`, the module that its settings belong to.

    It is given them on stdin, and rings by descriptor.
    """

    def __init__(
        self,
        name: str,
        settings: ProcessSettings,
        *,
        restart: bool,
        may_finish: bool = False,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        kind, _, rest = name.partition(" ")
        self._camera = rest if kind == "camera" else ""
        self.condition: dict[str, Any] = {"state": "starting"}
        self.restarts = 0
        self.ever: set[str] = set()
        """Every state this child has reported since the daemon started."""
        self._settings = settings
        self._restart = restart
        self._may_finish = may_finish
        self._on_death = on_death
        self._starts_ns: deque[int] = deque()
        self._last_words = ""
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()

    async def run(self) -> str:
        """Run, restarting where allowed, until it is down for good; returns why."""
        while True:
            code = await self._run_once()
            why = _why(code, self._last_words)
            if self._ending.is_set() or (self._may_finish and code == 0):
                return ""
            self.condition = {"state": "failed", "why": why}
            self._say(events.PROCESS_ENDED, f"{self.name} ended: {why}")
            self._on_death()
            if not self._may_restart():
                return why
            await asyncio.sleep(_RESTART_PAUSE_S)
            if self._ending.is_set():
                return ""
            self.restarts += 1

    def may_end(self) -> None:
        """Its end is no failure from now on: a service manager may end all processes at once."""
        self._ending.set()

    async def end(self, timeout_s: float) -> None:
        """SIGTERM, then SIGKILL after `timeout_s`."""
        self._ending.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except asyncio.TimeoutError:
            text = f"{self.name} did not end in {timeout_s:.1f} s: killed"
            self._say(events.PROCESS_SLOW_TO_END, text)
            process.kill()
            await process.wait()

    def kill(self, why: str) -> None:
        """End a process that no longer works; it is restarted if it may be."""
        if self._process is not None and self._process.returncode is None:
            self._say(events.PROCESS_STUCK, f"{self.name}: {why}: killed")
            self._process.kill()

    def _may_restart(self) -> bool:
        now = now_ns()
        self._starts_ns.append(now)
        while now - self._starts_ns[0] > _RESTARTS_WINDOW_NS:
            self._starts_ns.popleft()
        often = len(self._starts_ns) > _RESTARTS_MAX
        return self._restart and not often and "refused" not in self.ever

    async def _run_once(self) -> int:
        self._last_words = ""
        self.condition = {"state": "starting"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "actd.runtime.process_entry",
            type(self._settings).__module__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=tuple(self._settings.fds.values()),
            # Small arrays only, outside the engine: a thread pool would steal the tick's core.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self._process = process
        if process.stdin is not None:
            process.stdin.write(json.dumps(encode(self._settings)).encode())
            process.stdin.close()
        await asyncio.gather(self._hear(process.stdout), self._log(process.stderr))
        return await process.wait()

    async def _hear(self, stream: asyncio.StreamReader | None) -> None:
        async for line in _lines(stream):
            try:
                condition = json.loads(line)
            except ValueError:
                self._say(events.PROCESS_SAID, f"{self.name}: {_text(line)}")
                continue
            before = describe(self.condition)
            self.condition = {**self.condition, "why": "", **condition}
            if describe(self.condition) != before:
                self._say_condition(str(condition.get("joint", "")))
            if "realtime" in condition:
                say_realtime(self.name, condition["realtime"])
            self.ever.add(str(condition.get("state")))

    async def _log(self, stream: asyncio.StreamReader | None) -> None:
        async for line in _lines(stream):
            text = _text(line)
            if text:
                self._last_words = text
                self._say(events.PROCESS_SAID, f"{self.name}: {text}")

    def _say_condition(self, joint: str) -> None:
        condition = self.condition
        kind = "camera" if self._camera else self.name.rpartition(" ")[2]
        event = events.of_condition(kind, condition["state"], condition["why"])
        self._say(event, f"{self.name}: {describe(condition)}", joint)

    def _say(self, event: Event, text: str, joint: str = "") -> None:
        say(event, text, process=self.name, camera=self._camera, joint=joint)


def say_realtime(name: str, outcome: Outcome) -> None:
    """Log what the kernel granted to the process `name`."""
    text = ", ".join(f"{measure} {result}" for measure, result in outcome.items())
    refused = any(result.startswith(REFUSED) for result in outcome.values())
    event = events.REALTIME_REFUSED if refused else events.REALTIME
    say(event, f"{name}: {text}", process=name)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip()


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[bytes]:
    """The lines of a stream; of one without an end, such as an engine's dump, what fits."""
    while stream is not None:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                yield error.partial
            return
        except asyncio.LimitOverrunError as error:
            line = await stream.readexactly(error.consumed)
        yield line


def describe(condition: Mapping[str, Any]) -> str:
    """A child's condition in words: `waiting: robot state has not delivered anything yet`."""
    state, why = condition.get("state", "starting"), condition.get("why")
    return f"{state}: {why}" if why else str(state)


def _why(code: int, last_words: str) -> str:
    """Why a process ended. One that was killed did not say so: its last words are older."""
    if code >= 0:
        return last_words or f"exit code {code}"
    return f"killed by signal {-code}" + (f"; it last said: {last_words}" if last_words else "")
