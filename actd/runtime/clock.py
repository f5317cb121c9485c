"""Time: one monotonic clock in integer nanoseconds, and sleeping until a moment on it.

`clock_nanosleep` with an absolute deadline is called directly: the time between reading
the clock and going to sleep is then not lost, and an interrupted sleep resumes exactly.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time

_CLOCK_MONOTONIC = 1
_TIMER_ABSTIME = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


_libc = ctypes.CDLL(None, use_errno=True)
_clock_nanosleep = _libc.clock_nanosleep
_clock_nanosleep.argtypes = (
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(_Timespec),
    ctypes.POINTER(_Timespec),
)
_clock_nanosleep.restype = ctypes.c_int


now_ns = time.monotonic_ns
"""Nanoseconds of CLOCK_MONOTONIC: what every due time, capture time and age is measured in."""


def boottime_ns() -> int:
    """CLOCK_BOOTTIME: as `now_ns`, but it goes on while the computer is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def unix_s() -> float:
    """Unix time in seconds, for stamps that people and plots read; never for a decision."""
    return time.time_ns() / 1e9


def sleep_until_ns(deadline_ns: int) -> None:
    """Sleep until `deadline_ns` of CLOCK_MONOTONIC; returns at once when it has passed.

    A signal handler that raises ends the sleep; any other signal does not.
    """
    deadline = _Timespec(*divmod(deadline_ns, 1_000_000_000))
    while True:
        error = _clock_nanosleep(_CLOCK_MONOTONIC, _TIMER_ABSTIME, deadline, None)
        if error == 0:
            return
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))
