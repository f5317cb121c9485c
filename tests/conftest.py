"""Fixtures that any test may use."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from actd.link.sockets import Ports
from tests.ports import free_ports

if TYPE_CHECKING:
    from tests.fake_v4l2 import FakeV4L2

TESTS = Path(__file__).parent
_WITH_TORCH = {
    *("bench", "cli", "damage", "engine", "evaluation"),
    *("examples", "export", "plugins", "policy", "soak"),
}
"""Folders of tests that may use torch. From all others it is hidden, as on a robot."""


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


def pytest_collection_finish() -> None:
    """Collections of garbage leave out what pytest has made of thousands of tests.

    With it one takes a quarter of a second, in which an arm or an operator that is a thread of
    this process does nothing, and a daemon rightly holds.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _torch_hidden(path: Path) -> Iterator[None]:
    """Tests at `path` cannot import torch, nor can a process that they start."""
    if path.relative_to(TESTS).parts[0] in _WITH_TORCH:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        patch.setenv("PYTHONPATH", str(TESTS / "without_torch"), prepend=os.pathsep)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Around all fixtures too: nothing that such a test needs may be made with torch."""
    with _torch_hidden(item.path):
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Daemons of tests record their flights away from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def ports() -> Ports:
    """Loopback ports that nothing listens on."""
    return free_ports()


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    context: zmq.Context[Any] = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture(scope="session")
def lerobot_python() -> str:
    """The interpreter of an environment with LeRobot."""
    python = os.environ.get("ACTD_LEROBOT_PYTHON")
    if not python:
        pytest.fail("set ACTD_LEROBOT_PYTHON; scripts/make-lerobot-venv makes one")
    return python


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained ACT small enough to run in a few milliseconds: 14 joints, two cameras."""
    from actd.policy.untrained import write_untrained

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
def exported_engine(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_checkpoint` as an ort-fp32 engine folder."""
    from actd.export.export import export_checkpoint

    out = tmp_path_factory.mktemp("engines")
    export_checkpoint(small_checkpoint, out, ["ort-fp32"], None, lambda _: None)
    return out / "ort-fp32"


@pytest.fixture(scope="session")
def small_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine that takes and gives what `small_checkpoint` does, made without torch."""
    from tests.engines import policy_spec, write_waving_engine

    spec = policy_spec(14, {"cam_high": (96, 128), "cam_low": (96, 128)}, chunk_size=50)
    return write_waving_engine(tmp_path_factory.mktemp("engines") / "ort-fp32", spec)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from actd.policy.untrained import write_untrained

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
    from actd.export.export import export_checkpoint

    out = tmp_path_factory.mktemp("engines")
    export_checkpoint(checkpoint, out, ["ort-fp32", "ort-int8"], "synthetic")
    return out


@pytest.fixture(scope="session")
def v4l2_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What answers for the V4L2 devices of `fake_v4l2`."""
    from tests.fake_v4l2 import build

    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def fake_v4l2(v4l2_shim: Path, tmp_path: Path) -> FakeV4L2:
    """V4L2 devices for child processes; none is plugged in yet."""
    from tests.fake_v4l2 import FakeV4L2

    return FakeV4L2(tmp_path / "v4l2", v4l2_shim)
