"""Measure how late this computer wakes a control loop while the engine computes.

Two loops at the control rate, side by side: `tick` with what the daemon's tick asks for, `bare`
with nothing. Each, and the engine, is a process of its own (`actd.doctor.loop_process`), placed
as the daemon would place it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, suppress
from typing import IO

from actd.codec import decode, encode
from actd.config import Config
from actd.doctor.computer import stolen_ms
from actd.doctor.facts import Loops
from actd.doctor.loop_process import EngineJob, LoopJob, LoopResult
from actd.errors import ActdError
from actd.runtime import settings
from actd.runtime.clock import now_ns
from actd.runtime.realtime import Wish
from actd.runtime.schedule import period_of

_START_NS = 1_500_000_000  # a process that imports numpy on a busy computer
DEFAULT_RATE_HZ = 50.0
_END_S = 30.0


def measure_loops(config: Config | None, seconds: float, *, infer: bool) -> Loops:
    """Run both loops for `seconds`. `config` None: at 50 Hz, with the usual settings.

    Raises ActdError where a process of it dies, which says why.
    """
    rate_hz = DEFAULT_RATE_HZ if config is None else config.control.rate_hz
    wish: Wish = "prefer" if config is None else config.process.realtime
    with ExitStack() as stack:
        cores: tuple[int, ...] = ()
        priority = 60
        if config is not None:
            share = settings.share_cores(config)
            cores, priority = share.tick, config.process.tick.priority
            if infer:
                place = settings.placement(config, share, "inference")
                job = EngineJob(str(config.engine), share.threads, place)
                _wait_warm(_start(stack, "engine", job))
        start_ns = now_ns() + _START_NS
        half_ns = round(period_of(rate_hz) / 2)
        # `require` would end at the first refusal; here all of them are to be seen.
        asked: Wish = "off" if wish == "off" else "prefer"
        jobs = (
            LoopJob(rate_hz, seconds, start_ns, asked, priority, cores),
            LoopJob(rate_hz, seconds, start_ns + half_ns, None, 0, ()),
        )
        before_ms = stolen_ms()
        loops = [_start(stack, "loop", job) for job in jobs]
        tick, bare = (_result(loop, seconds) for loop in loops)
        stolen = stolen_ms() - before_ms
    return Loops(
        period_ms=1e3 / rate_hz,
        seconds=seconds,
        wish=wish,
        tick=tick.lateness,
        missed=tick.missed,
        bare=bare.lateness,
        bare_missed=bare.missed,
        granted=tick.granted,
        inferring=infer and config is not None,
        stolen_ms=stolen,
    )


def _start(stack: ExitStack, role: str, job: EngineJob | LoopJob) -> subprocess.Popen[str]:
    """A process of this measurement, ended with the stack."""
    process = subprocess.Popen(
        [sys.executable, "-m", "actd.doctor.loop_process", role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    with suppress(BrokenPipeError):  # it died at once, and what reads its answer says so
        _stream(process.stdin).write(json.dumps(encode(job)) + "\n")
        _stream(process.stdin).flush()
    return process


def _wait_warm(process: subprocess.Popen[str]) -> None:
    if not _stream(process.stdout).readline():
        process.kill()
        raise _ended(_stream(process.stderr).read())


def _result(process: subprocess.Popen[str], seconds: float) -> LoopResult:
    try:
        output, errors = process.communicate(timeout=seconds + _END_S)
    except subprocess.TimeoutExpired:
        raise ActdError(
            "lateness: its loop did not end in time; see what else keeps this computer busy (top)"
        ) from None
    if process.returncode:
        raise _ended(errors)
    return decode(LoopResult, json.loads(output))


def _ended(errors: str) -> ActdError:
    words = errors.strip().splitlines() or ["it was killed"]
    return ActdError(f"lateness: a process of the measurement ended: {words[-1]}")


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("started without a pipe")
    return stream
