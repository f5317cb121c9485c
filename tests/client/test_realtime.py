"""What the kernel grants a controller, each time in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SETUP = """
import json, os, resource, time
from actd.client import Robot, realtime

def drop_privileges():
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.geteuid() == 0:
        os.setuid(65534)

def threads():
    ids = map(int, os.listdir("/proc/self/task"))
    return {t: (os.sched_getscheduler(t), os.sched_getparam(t).sched_priority) for t in ids}
"""

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def outcome(code: str) -> Any:
    found = subprocess.run(
        [sys.executable, "-c", SETUP + code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@root_only
def test_root_is_granted_fifo_and_locked_memory() -> None:
    found = outcome(
        "import gc\ngranted = realtime(41)\n"
        "locked = open('/proc/self/status').read().split('VmLck:')[1].split()[0]\n"
        "counts = [gc.get_freeze_count(), gc.isenabled()]\n"
        "print(json.dumps([granted, threads()[os.getpid()], int(locked), counts]))"
    )
    granted, thread, locked_kb, (frozen, still_collects) = found
    assert granted == {"sched_fifo": "ok", "mlockall": "ok", "gc_frozen": "ok"}
    assert frozen > 1000
    assert still_collects
    assert thread == [os.SCHED_FIFO, 41]
    assert locked_kb > 1000


def test_a_refusal_is_told_and_raises_nothing() -> None:
    found = outcome("drop_privileges()\nprint(json.dumps([realtime(), threads()[os.getpid()]]))")
    granted, thread = found
    assert granted["sched_fifo"] == "not granted: Operation not permitted"
    assert granted["mlockall"].startswith("not granted: ")
    assert thread == [os.SCHED_OTHER, 0]


@root_only
@pytest.mark.parametrize(("priority", "below"), [(40, 39), (1, 1)])
def test_the_sockets_thread_runs_just_below_the_loop(priority: int, below: int) -> None:
    found = outcome(
        f"with Robot(realtime_priority={priority}):\n"
        "    until = time.monotonic() + 5\n"  # a thread changes its own policy, once it runs
        f"    while (os.SCHED_FIFO, {below}) not in threads().values():\n"
        "        assert time.monotonic() < until, threads()\n"
        "    own = threads()\n"
        "print(json.dumps([own.pop(os.getpid()), list(own.values())]))"
    )
    main, others = found
    assert main == [os.SCHED_OTHER, 0]
    assert {given for policy, given in others if policy == os.SCHED_FIFO} == {below}


def test_a_robot_that_may_not_have_fifo_works_without() -> None:
    """ZeroMQ would end the process."""
    found = outcome(
        "drop_privileges()\n"
        "with Robot(realtime_priority=40) as robot:\n"
        "    robot.send_state({'j': 0.0})\n"
        "    print(json.dumps([robot.receive(), [v[0] for v in threads().values()]]))"
    )
    action, policies = found
    assert action is None
    assert set(policies) == {os.SCHED_OTHER}


@root_only
def test_memory_is_left_alone_where_that_is_asked_for() -> None:
    found = outcome(
        "granted = realtime(41, lock_memory=False)\n"
        "locked = open('/proc/self/status').read().split('VmLck:')[1].split()[0]\n"
        "print(json.dumps([granted, int(locked)]))"
    )
    assert found == [{"sched_fifo": "ok", "gc_frozen": "ok"}, 0]
