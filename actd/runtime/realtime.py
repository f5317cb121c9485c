"""Asking the kernel for punctuality, and saying plainly what was granted.

Only the tick process asks. `require` refuses to start on the first refusal, `prefer` goes
on without and shows it in status, `off` asks for nothing.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from actd.errors import ActdError

Wish = Literal["require", "prefer", "off"]

# The rest costs microseconds where it is refused.
_REQUIRED = ("sched_fifo", "mlockall")

_SLICE_NS = 100_000
_SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_MCL_CURRENT_AND_FUTURE = 3
_PR_SET_TIMERSLACK = 29

_libc = ctypes.CDLL(None, use_errno=True)
_held_open: list[int] = []


def request(wish: Wish, priority: int) -> dict[str, str]:
    """Apply every measure to this process; returns measure -> "ok" or why not.

    Raises ActdError under `require` when one is refused, naming the remedy.
    """
    if wish == "off":
        return {"wish": "off"}
    measures: dict[str, Callable[[], None]] = {
        "short_slice": _short_slice,
        "sched_fifo": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority)),
        "mlockall": _lock_memory,
        "timer_slack": _no_timer_slack,
        "cpu_dma_latency": _no_deep_sleep,
        "gc_frozen": _freeze_garbage,
    }
    outcome = {"wish": str(wish)}
    for name, measure in measures.items():
        try:
            measure()
            outcome[name] = "ok"
        except OSError as error:
            outcome[name] = f"not granted: {error.strerror}"
            if wish == "require" and name in _REQUIRED:
                raise ActdError(
                    f"process.realtime: require, but {name} was not granted ({error.strerror}): "
                    "run under systemd/actd.service, or allow rtprio and memlock in "
                    "/etc/security/limits.d, or set realtime: prefer"
                ) from None
    return outcome


def is_fifo() -> bool:
    """Whether this process runs under SCHED_FIFO."""
    return os.sched_getscheduler(0) == os.SCHED_FIFO


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


def _short_slice() -> None:
    """Ask for short turns, which anyone may: from Linux 6.12 they begin without waiting.

    It is all that an unprivileged tick has against a busy inference.
    """
    number = _SYS_SCHED_SETATTR.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    attr = _SchedAttr(size=ctypes.sizeof(_SchedAttr), runtime=_SLICE_NS)
    if _libc.syscall(ctypes.c_long(number), 0, ctypes.byref(attr), 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _lock_memory() -> None:
    if _libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _no_timer_slack() -> None:
    if _libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _no_deep_sleep() -> None:
    """Hold /dev/cpu_dma_latency at 0; the kernel keeps the wish while the file is open."""
    fd = os.open(Path("/dev/cpu_dma_latency"), os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, struct.pack("i", 0))
    _held_open.append(fd)


def _freeze_garbage() -> None:
    """No collection ever again: the tick makes no cycles, and a pause would be a late command."""
    gc.collect()
    gc.freeze()
    gc.disable()
