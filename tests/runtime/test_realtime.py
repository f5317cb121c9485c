"""What is asked of the kernel, in processes of their own, and what refusal looks like."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.runtime.settings import share_cores

SCRIPT = """
import json, os, sys
{drop}
from actd.runtime import realtime
from actd.errors import ActdError
try:
    outcome = realtime.request(sys.argv[1], 50)
except ActdError as error:
    print(json.dumps({{"error": str(error)}}))
else:
    print(json.dumps({{"outcome": outcome, "fifo": realtime.is_fifo()}}))
"""
# Without the capability a refusal looks as it does for an ordinary user.
DROP = "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)"


def ask(wish: str, *, unprivileged: bool = False) -> dict[str, object]:
    code = SCRIPT.format(drop=DROP if unprivileged else "")
    done = subprocess.run(
        [sys.executable, "-c", code, wish], capture_output=True, text=True, check=True
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_off_asks_for_nothing() -> None:
    assert ask("off") == {"outcome": {"wish": "off"}, "fifo": False}


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


@given(st.frozensets(st.integers(0, 63), min_size=1, max_size=16), st.integers(1, 32))
def test_the_tick_gets_a_core_of_its_own_where_inference_leaves_one(
    available: frozenset[int], threads: int
) -> None:
    tick, inference = share_cores(available, threads)
    if threads < len(available):
        assert len(tick) == 1
        assert set(tick) | set(inference) == available
        assert not set(tick) & set(inference)
        assert len(inference) >= threads
    else:
        assert set(tick) == set(inference) == available
