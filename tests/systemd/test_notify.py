"""The notifier's datagrams, byte for byte, on real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actd.runtime.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A service manager's end: the address as NOTIFY_SOCKET names it, and the bound socket."""
    path = f"{tmp_path}/notify"
    address = path if request.param == "path" else f"@actd-test{path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address.replace("@", "\0", 1))
        bound.settimeout(5)
        yield address, bound


@pytest.mark.parametrize(
    ("tell", "datagram"),
    [
        (lambda n: n.ready("engine warm, 2 cameras"), b"READY=1\nSTATUS=engine warm, 2 cameras"),
        (lambda n: n.status("ARMED 50.0 Hz"), b"STATUS=ARMED 50.0 Hz"),
        (lambda n: n.status("two\nREADY=1"), b"STATUS=two READY=1"),
        (lambda n: n.watchdog(), b"WATCHDOG=1"),
        (lambda n: n.stopping(), b"STOPPING=1"),
        (lambda n: n.extend_timeout(1.5), b"EXTEND_TIMEOUT_USEC=1500000"),
    ],
)
def test_each_call_is_one_datagram(
    manager: tuple[str, socket.socket], tell: Callable[[Notifier], None], datagram: bytes
) -> None:
    address, bound = manager
    tell(Notifier.from_env({"NOTIFY_SOCKET": address}))
    assert bound.recv(4096) == datagram
    bound.setblocking(False)
    with pytest.raises(BlockingIOError):
        bound.recv(4096)


@pytest.mark.parametrize(
    ("environ", "interval_ns"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "5000000"}, 2_500_000_000),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}, 2_500_000_000),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_period(
    environ: dict[str, str], interval_ns: int | None
) -> None:
    notifier = Notifier.from_env({"NOTIFY_SOCKET": "/run/notify", **environ})
    assert notifier.watchdog_interval_ns == interval_ns


@pytest.mark.parametrize("address", ["", "vsock:2:9999", "relative"])
def test_an_address_that_is_not_a_socket_turns_it_off(address: str) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "5000000"}
    assert Notifier.from_env(environ) == Notifier()


def test_off_or_unheard_it_harms_nobody(tmp_path: Path) -> None:
    for notifier in (Notifier(), Notifier(address=f"{tmp_path}/nobody-listens")):
        notifier.ready("up")
        notifier.watchdog()
    assert list(tmp_path.iterdir()) == []


def test_a_manager_that_does_not_read_cannot_block_us(
    manager: tuple[str, socket.socket],
) -> None:
    address, bound = manager
    notifier = Notifier(address)
    for _ in range(int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 3):
        notifier.watchdog()
    assert bound.recv(4096) == b"WATCHDOG=1"
