"""Asking the kernel for punctuality, and saying plainly what was granted.

Every process takes its cores and niceness here; the rest is for the tick process alone.
`require` refuses to start on the first refusal of what it names, `prefer` goes on without
and shows it in status, `off` asks for nothing but the cores.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from actd.errors import ActdError
from actd.runtime.cores import Placement

Wish = Literal["require", "prefer", "off"]
Outcome = dict[str, str]
"""Measure -> "ok", a value, or "not granted: " and why. What status and the log show."""

REQUIRED = ("cores", "sched_fifo", "mlockall", "rt_throttling")
"""What `require` does not go on without; the rest costs microseconds where it is refused."""
REFUSED = "not granted: "
"""How the outcome of a measure begins that the kernel refused."""

_SLICE_NS = 100_000
_SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_MCL_CURRENT_AND_FUTURE = 3
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_PR_SET_TIMERSLACK = 29
_PROC = Path("/proc/sys/kernel")

_libc = ctypes.CDLL(None, use_errno=True)
_held_open: list[int] = []


def settle(placement: Placement) -> Outcome:
    """Bind this process to its cores and give it its niceness."""
    return {
        "cores": _try(lambda: _bind(placement.cores)),
        "nice": _try(lambda: _be_nice(placement.nice)),
    }


def request(wish: Wish, priority: int, cores: Sequence[int]) -> Outcome:
    """Apply every measure of the tick process to this one.

    Raises ActdError under `require` when one that it needs is refused, naming the remedy.
    """
    measures: dict[str, Callable[[], str]] = {"cores": lambda: _bind(cores)}
    if wish != "off":
        measures |= {
            "short_slice": _short_slice,
            "sched_fifo": lambda: _be_fifo(priority),
            "rt_throttling": _throttling,
            "mlockall": _lock_memory,
            "timer_slack": _no_timer_slack,
            "cpu_dma_latency": _no_deep_sleep,
            "gc_frozen": _freeze_garbage,
        }
    outcome = {"wish": str(wish)}
    for name, measure in measures.items():
        outcome[name] = _try(measure)
        if wish == "require" and name in REQUIRED and outcome[name].startswith(REFUSED):
            raise ActdError(
                f"process.realtime: require, but {name} was {outcome[name]}; run as a service "
                "(`actd service install`), or allow rtprio and memlock in /etc/security/limits.d, "
                "or set realtime: prefer"
            )
    return outcome


def fifo_can_be_had(wish: Wish, priority: int) -> bool:
    """Whether a process started from here could get SCHED_FIFO, by trying it in a thread."""
    granted: list[bool] = []

    def attempt() -> None:
        # Counts for this thread alone, and ends with it.
        granted.append(_try(lambda: _be_fifo(priority)) == "ok")

    if wish != "off":
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    return any(granted)


def is_fifo() -> bool:
    """Whether this process runs under SCHED_FIFO."""
    return os.sched_getscheduler(0) == os.SCHED_FIFO


def _try(measure: Callable[[], str]) -> str:
    try:
        return measure()
    except OSError as error:
        return REFUSED + str(error.strerror)


def _bind(cores: Sequence[int]) -> str:
    os.sched_setaffinity(0, cores)
    bound = sorted(os.sched_getaffinity(0))
    if bound != sorted(cores):  # a cpuset may allow only some of them
        raise OSError(errno.EINVAL, f"only {bound} of {sorted(cores)}")
    return " ".join(map(str, bound))


def _be_nice(nice: int) -> str:
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    return str(nice)


def _be_fifo(priority: int) -> str:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    return "ok"


def _throttling() -> str:
    """How much of a core the kernel lets real-time threads have, and one turn of them."""
    runtime_us = int((_PROC / "sched_rt_runtime_us").read_text())
    period_us = int((_PROC / "sched_rt_period_us").read_text())
    if runtime_us == 0:
        raise OSError(errno.EPERM, "kernel.sched_rt_runtime_us is 0; set it to 950000")
    share = "none" if runtime_us < 0 else f"above {100 * runtime_us / period_us:.0f} %"
    turn_us, _ = resource.getrlimit(resource.RLIMIT_RTTIME)
    # The tick sleeps every period, which begins a new turn; LimitRTTIME ends only a runaway.
    return share if turn_us == resource.RLIM_INFINITY else f"{share} or one turn of {turn_us} us"


class _SchedAttr(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def _short_slice() -> str:
    """Ask for short turns, which anyone may: from Linux 6.12 they begin without waiting.

    It is all that an unprivileged tick has against a busy inference.
    """
    number = _SYS_SCHED_SETATTR.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    attr = _SchedAttr(size=ctypes.sizeof(_SchedAttr), runtime=_SLICE_NS)
    return _check(_libc.syscall(ctypes.c_long(number), 0, ctypes.byref(attr), 0))


def _lock_memory() -> str:
    # What malloc has it keeps: to give memory back and take it again would be page faults.
    _libc.mallopt(_M_TRIM_THRESHOLD, -1)
    _libc.mallopt(_M_MMAP_MAX, 0)
    return _check(_libc.mlockall(_MCL_CURRENT_AND_FUTURE))


def _no_timer_slack() -> str:
    return _check(_libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0))


def _check(result: int) -> str:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return "ok"


def _no_deep_sleep() -> str:
    """Hold /dev/cpu_dma_latency at 0; the kernel keeps the wish while the file is open."""
    fd = os.open(Path("/dev/cpu_dma_latency"), os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, struct.pack("i", 0))
    _held_open.append(fd)
    return "ok"


def _freeze_garbage() -> str:
    """No collection ever again: the tick makes no cycles, and a pause would be a late command."""
    gc.collect()
    gc.freeze()
    gc.disable()
    return "ok"
