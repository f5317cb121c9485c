"""What is asked of the kernel, in processes of their own, and what refusal looks like."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from actd.runtime.realtime import fifo_can_be_had

SCRIPT = """
import json, os, sys
{drop}
from actd.runtime import realtime
from actd.errors import ActdError
try:
    outcome = realtime.request(sys.argv[1], 50, [{core}])
except ActdError as error:
    print(json.dumps({{"error": str(error)}}))
else:
    cores = sorted(os.sched_getaffinity(0))
    print(json.dumps({{"outcome": outcome, "fifo": realtime.is_fifo(), "cores": cores}}))
"""
# Without the capability a refusal looks as it does for an ordinary user.
DROP = "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)"


CORE = max(os.sched_getaffinity(0))


def ask(wish: str, *, unprivileged: bool = False, core: int = CORE) -> dict[str, object]:
    code = SCRIPT.format(drop=DROP if unprivileged else "", core=core)
    done = subprocess.run(
        [sys.executable, "-c", code, wish], capture_output=True, text=True, check=True
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_off_asks_for_nothing_but_its_core() -> None:
    outcome = {"wish": "off", "cores": str(CORE)}
    assert ask("off") == {"outcome": outcome, "fifo": False, "cores": [CORE]}


def test_a_core_that_cannot_be_had_is_named_and_require_does_not_start() -> None:
    outcome = ask("prefer", core=1023)["outcome"]
    assert isinstance(outcome, dict)
    assert outcome["cores"] == "not granted: Invalid argument"
    assert str(ask("require", core=1023)["error"]).startswith(
        "process.realtime: require, but cores was not granted"
    )


def test_every_process_takes_its_place() -> None:
    code = (
        "import json, os; from actd.runtime import cores, realtime; "
        f"outcome = realtime.settle(cores.Placement(({CORE},), 7)); "
        "print(json.dumps([outcome, sorted(os.sched_getaffinity(0)), os.nice(0)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [{"cores": str(CORE), "nice": "7"}, [CORE], 7]


def test_trying_fifo_says_what_asking_for_it_will_and_leaves_no_trace() -> None:
    before = os.sched_getscheduler(0)
    found = fifo_can_be_had("prefer", 50)
    assert os.sched_getscheduler(0) == before
    assert found is ask("prefer")["fifo"]
    assert not fifo_can_be_had("off", 50)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop it")
def test_refused_wishes_are_named_and_require_does_not_start() -> None:
    try:
        preferred = ask("prefer", unprivileged=True)
    except subprocess.CalledProcessError:
        pytest.skip("this interpreter is not readable by other users")
    outcome = preferred["outcome"]
    assert isinstance(outcome, dict)
    assert outcome["sched_fifo"].startswith("not granted: ")
    assert outcome["gc_frozen"] == "ok"
    error = str(ask("require", unprivileged=True)["error"])
    assert error.startswith("process.realtime: require, but sched_fifo was not granted")
    assert "set realtime: prefer" in error


@pytest.mark.skipif(os.geteuid() != 0, reason="SCHED_FIFO needs root here")
def test_granted_wishes_take_effect() -> None:
    answer = ask("prefer")
    outcome = answer["outcome"]
    assert isinstance(outcome, dict)
    assert answer["fifo"] is (outcome["sched_fifo"] == "ok")
    assert outcome["short_slice"] == "ok"
    assert outcome["rt_throttling"].startswith(("above", "none"))
    assert answer["cores"] == [CORE]
