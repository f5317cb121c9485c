"""Orders in trouble, and trouble at the sockets where orders and questions come in.

Like the injections: each breaks something on entry and mends it on exit.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actd.errors import LinkError
from actd.link.age import boottime_ns
from actd.mode import Mode
from tests.faults.arm import ROBOT
from tests.faults.injections import Injection, send
from tests.faults.rig import Rig

_STOP_MS = 100  # five ticks


@contextmanager
def stop_without_supervisor(rig: Rig) -> Iterator[None]:
    """The supervisor is stopped, motion goes on, and an operator says stop."""
    rig.strike()
    with send(signal.SIGSTOP, "supervisor")(rig):
        rig.watch(0.6, Mode.ARMED)
        stop(rig)
        yield


@contextmanager
def stop_now(rig: Rig) -> Iterator[None]:
    """An operator says stop."""
    rig.strike()
    stop(rig)
    yield


def stop(rig: Rig) -> None:
    """An operator's stop, which must be obeyed within a few ticks."""
    given_ns = boottime_ns()
    rig.operate("stop")
    rig.wait_mode(Mode.STOP)
    first = next(a for _, a in rig.arm.log if a.mode is Mode.STOP and a.t_boot_ns > given_ns)
    took_ms = (first.t_boot_ns - given_ns) / 1e6
    rig.notes.append(f"stop obeyed after {took_ms:.0f} ms")
    if took_ms > _STOP_MS:
        raise AssertionError(f"stop was obeyed after {took_ms:.0f} ms")


@contextmanager
def slow_end(rig: Rig) -> Iterator[None]:
    """SIGTERM while the arm needs long to come to rest."""
    rig.wait(lambda: rig.arm.log[-1].action.rest_ms > 1100, "a motion that is long to stop")
    rig.notes.append(f"{rig.arm.log[-1].action.rest_ms:.0f} ms from rest")
    rig.daemon.send_signal(signal.SIGTERM)
    yield


@contextmanager
def arm_while_ending(rig: Rig) -> Iterator[None]:
    """SIGTERM, and an operator who arms during the ramp."""
    with slow_end(rig):
        rig.strike()
        rig.wait_mode(Mode.HOLD)
        try:
            rig.operate("arm")
        except LinkError as error:
            rig.notes.append(f"`arm` {str(error).partition(': ')[2] or error}")
        else:
            raise AssertionError("`arm` was obeyed by a daemon that is ending")
        yield


def flood(kind: str) -> Injection:
    """10 000 junk messages a second on one socket."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        port = str(getattr(rig.ports, kind))
        words = [sys.executable, "-m", "tests.faults.junk", kind, port]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sender:
            assert sender.stdout is not None
            sender.stdout.readline()
            try:
                yield
            finally:
                sender.terminate()
                rate, _ = sender.communicate()
                rig.notes.append(f"{rate.strip()} junk messages/s")

    return inject


@contextmanager
def flood_and_stop(rig: Rig) -> Iterator[None]:
    """Junk on the control socket, while an operator says stop."""
    with flood("control")(rig):
        time.sleep(1)
        stop(rig)
        yield


@contextmanager
def flood_and_ask(rig: Rig) -> Iterator[None]:
    """Junk on the status socket, while somebody asks for the status."""
    with flood("status")(rig):
        time.sleep(0.5)
        begun_ns = time.monotonic_ns()
        if rig.status().get("mode") != "ARMED":
            raise AssertionError("status is not answered")
        rig.notes.append(f"status answered in {(time.monotonic_ns() - begun_ns) / 1e6:.0f} ms")
        yield


def rejected(words: str, command: str, **fields: Any) -> Injection:
    """An order that must be refused with these words; without `stamp_ns` it has a fresh one."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        fresh = {"robot": ROBOT, "stamp_ns": rig.order("ping")["stamp_ns"]} | fields
        _rejected(rig, words, command, **{k: v for k, v in fresh.items() if v is not None})
        yield

    return inject


def refused(rig: Rig, command: str, words: str) -> None:
    """An order that is well given, and must be refused with these words."""
    _rejected(rig, words, command, robot=ROBOT, stamp_ns=rig.order("ping")["stamp_ns"])


def _rejected(rig: Rig, words: str, command: str, **fields: Any) -> None:
    try:
        rig.order(command, **fields)
    except LinkError as error:
        if words not in str(error):
            raise AssertionError(f"refused, but not with {words!r}: {error}") from None
        rig.notes.append(f"`{str(error)[:160]}`")
    else:
        raise AssertionError(f"{command} was obeyed")


def late(command: str, words: str = "") -> Injection:
    """An order that is given in time, and waits because the tick process is stopped; `words`
    say why it must be refused, "": it must be obeyed all the same.
    """

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        fields = {"robot": ROBOT, "stamp_ns": rig.order("ping")["stamp_ns"]}
        told: list[str] = []

        def give() -> None:
            try:
                rig.order(command, timeout_s=10, **fields)
                told.append("")
            except LinkError as error:
                told.append(str(error))

        rig.strike()
        with send(signal.SIGSTOP, "tick")(rig):
            operator = threading.Thread(target=give, daemon=True)
            operator.start()
            time.sleep(1.3)
        operator.join(12)
        if not told or bool(told[0]) != bool(words) or words not in told[0]:
            raise AssertionError(f"{command}, 1.3 s late: {told or 'no answer'}")
        rig.notes.append(f"`{told[0]}`" if words else f"{command} obeyed 1.3 s late")
        yield

    return inject
