"""Fixtures that any test may use."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from actd.export.export import export_checkpoint
from actd.policy.untrained import write_untrained


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of single tiers; pytest takes them only here."""
    parser.addoption(
        "--write-reliability",
        action="store_true",
        help="with -m faults: write what was observed to docs/reliability.md",
    )


def pytest_configure() -> None:
    """Run in the background, by nohup or a script, tests inherit signals that are ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Daemons of tests record their flights away from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def free_ports() -> list[int]:
    """Four loopback ports that nothing listens on."""
    with ExitStack() as stack:
        found = []
        for _ in range(4):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(probe.getsockname()[1])
    return found


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained ACT small enough to run in a few milliseconds: 14 joints, two cameras."""
    return write_untrained(
        tmp_path_factory.mktemp("checkpoint"),
        cameras={"cam_high": (96, 128), "cam_low": (96, 128)},
        action_dim=14,
        state_dim=14,
        chunk_size=50,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        action_std=[0.2] * 14,
        seed=1,
    )


@pytest.fixture(scope="session")
def small_engine(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_checkpoint` as an ort-fp32 engine folder."""
    out = tmp_path_factory.mktemp("engines")
    export_checkpoint(small_checkpoint, out, ["ort-fp32"], None, lambda _: None)
    return out / "ort-fp32"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(
        tmp_path_factory.mktemp("checkpoint"),
        cameras={"top": (64, 96)},
        action_dim=3,
        state_dim=3,
        chunk_size=8,
        dim_model=64,
        n_heads=2,
        dim_feedforward=64,
        n_encoder_layers=1,
        action_std=[0.1, 0.2, 0.3],
    )


@pytest.fixture(scope="session")
def engines(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ort-fp32 and ort-int8, calibrated on synthetic observations."""
    out = tmp_path_factory.mktemp("engines")
    export_checkpoint(checkpoint, out, ["ort-fp32", "ort-int8"], "synthetic")
    return out
