"""Asking the kernel for punctuality on a controller's side, and saying what was granted."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from typing import Any

import zmq

_MCL_CURRENT_AND_FUTURE = 3
_libc = ctypes.CDLL(None, use_errno=True)


def realtime(priority: int = 50, *, lock_memory: bool = True) -> dict[str, str]:
    """SCHED_FIFO for the calling thread, locked memory and short collections for its process.

    Without `lock_memory` where the process has loaded gigabytes, such as torch: all of them would
    be read and kept.

    Returns measure -> "ok" or "not granted: " and why; a refusal raises nothing. Call it when
    everything is loaded, just before the loop, which must sleep or wait in every cycle. Give the
    same number to `Robot(realtime_priority=)`, whose own thread would otherwise wait for this one.
    """
    granted = {"sched_fifo": _be_fifo(priority)}
    if lock_memory:
        granted["mlockall"] = _lock_memory()
    return granted | {"gc_frozen": _freeze_garbage()}


def schedule_io(context: zmq.Context[Any], priority: int) -> None:
    """Run the I/O thread of `context` under SCHED_FIFO just below `priority`, where that may be.

    To be called before the context's first socket.
    """
    below = max(1, priority - 1)
    # ZeroMQ ends the process when it is refused: so ask first, in a thread that ends with it.
    granted: list[str] = []
    attempt = threading.Thread(target=lambda: granted.append(_be_fifo(below)))
    attempt.start()
    attempt.join()
    if granted == ["ok"]:
        context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_FIFO)
        context.set(zmq.THREAD_PRIORITY, below)


def _be_fifo(priority: int) -> str:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        return f"not granted: {error.strerror}"
    return "ok"


def _lock_memory() -> str:
    if _libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        return f"not granted: {os.strerror(ctypes.get_errno())}"
    return "ok"


def _freeze_garbage() -> str:
    # Collections go on, and look only at what is made from now on.
    gc.collect()
    gc.freeze()
    return "ok"
