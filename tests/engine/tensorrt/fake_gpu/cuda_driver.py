"""Runs inside a process whose libcuda is the one of libcuda.c; see test_on_fake_gpu.py."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from actd.engine.cuda.driver import CudaDriver, open_driver
from actd.errors import EngineError

fake = ctypes.CDLL("libcuda.so.1")
KINDS = ("memory", "pinned", "streams", "events", "graphs", "executables", "primaries", "stack")


def alive() -> dict[str, int]:
    counts = {kind: fake.fake_live(index) for index, kind in enumerate(KINDS)}
    return {kind: count for kind, count in counts.items() if count}


@pytest.fixture(params=[False, True], ids=["sleeps", "spins"])
def driver(request: pytest.FixtureRequest) -> Iterator[CudaDriver]:
    fake.fake_capturable(1)
    assert not alive()
    opened = open_driver(spin=request.param)
    yield opened
    opened.close()
    assert not alive()


def test_the_one_that_is_installed_is_chosen_and_says_why(driver: CudaDriver) -> None:
    assert driver.name == os.environ["EXPECTED_DRIVER"]
    assert ("pycuda cannot be imported" in driver.reason) == (driver.name == "cuda-bindings")
    assert driver.device.name == "Fake GPU"
    assert driver.device.compute_capability == "8.7"
    assert driver.device.driver.endswith("CUDA 13.0") or "(CUDA 13.0)" in driver.device.driver


def test_a_graph_copies_there_and_back(driver: CudaDriver) -> None:
    sent, received, device = driver.pinned(1000), driver.pinned(1000), driver.alloc(1000)
    started, ended = driver.event(), driver.event()
    assert driver.elapsed_ns(started, ended) == 0

    def enqueue() -> None:
        driver.record(started, captured=True)
        driver.copy_in(device, sent)
        driver.copy_out(received, device)
        driver.record(ended, captured=True)

    received[:] = 0
    launch = driver.capture(enqueue)
    sent[:] = np.arange(1000) % 256
    driver.synchronize()
    assert not received.any()  # a capture runs nothing
    for shift in (0, 5):
        sent[:] = (np.arange(1000) + shift) % 256
        launch()
        driver.synchronize()
        np.testing.assert_array_equal(received, sent)
    assert driver.elapsed_ns(started, ended) > 0


def test_what_cannot_be_captured_leaves_the_stream_usable(driver: CudaDriver) -> None:
    host, device = driver.pinned(10), driver.alloc(10)
    fake.fake_capturable(0)
    with pytest.raises(EngineError, match="cuda"):
        driver.capture(lambda: driver.copy_in(device, host))
    fake.fake_capturable(1)

    def fails() -> None:
        raise KeyError("something else")

    with pytest.raises(KeyError):
        driver.capture(fails)
    driver.capture(lambda: driver.copy_in(device, host))()
    driver.synchronize()


def test_too_much_memory_is_an_error_with_cudas_name(driver: CudaDriver) -> None:
    with pytest.raises(EngineError, match=r"(?i)out.of.memory"):
        driver.alloc(2 << 30)


def test_another_thread_is_refused(driver: CudaDriver) -> None:
    refused: list[str] = []

    def use() -> None:
        for call in (lambda: driver.alloc(1), driver.synchronize, driver.close):
            try:
                call()
            except EngineError as error:
                refused.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(refused) == 3
    assert all("one thread" in message for message in refused)
    driver.alloc(1)


def test_closing_twice_and_using_it_afterwards(driver: CudaDriver) -> None:
    driver.alloc(10)
    driver.close()
    driver.close()
    assert not alive()
    with pytest.raises(EngineError, match="after it was closed"):
        driver.alloc(1)


def test_two_at_once_share_the_primary_context() -> None:
    first, second = open_driver(), open_driver()
    assert alive()["primaries"] == 2
    memory = first.alloc(16)
    first.close()
    host = second.pinned(16)
    second.copy_in(second.alloc(16), host)
    second.synchronize()
    second.close()
    assert memory
    assert not alive()
