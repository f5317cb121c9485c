"""The growth figures are tested on series made by hand and on this process."""

from __future__ import annotations

import mmap
import os

import numpy as np
import psutil
import pytest

from tests.soak.growth import MEASURES, growth, look


def series(values: np.ndarray) -> list[dict[str, float]]:
    return [{"t_s": 10.0 * k, "rss_mb": float(value)} for k, value in enumerate(values)]


def test_a_leak_is_found_beneath_noise_and_after_the_warm_up() -> None:
    rng = np.random.default_rng(1)
    leak = 100 + 0.05 * np.arange(360) + rng.normal(0, 1, 360)
    leak[:30] += np.linspace(80, 0, 30)
    total, per_hour = growth(series(leak), "rss_mb", warm_up_s=300)
    assert per_hour == pytest.approx(18, abs=2)
    assert total == pytest.approx(18 * 3290 / 3600, abs=2)
    assert abs(growth(series(100 + rng.normal(0, 1, 360)), "rss_mb", 300)[0]) < 1


def test_too_short_a_run_is_refused() -> None:
    with pytest.raises(ValueError, match="run longer"):
        growth(series(np.ones(5)), "rss_mb", warm_up_s=30)


def test_a_look_sees_files_and_shared_memory() -> None:
    process = psutil.Process()
    before = look(process, 0)
    fd = os.memfd_create("soak")
    os.ftruncate(fd, 3_000_000)
    memory = mmap.mmap(fd, 3_000_000)
    after = look(process, 1)
    memory.close()
    os.close(fd)
    assert set(after) == {"t_s", *MEASURES}
    assert after["fds"] == before["fds"] + 2  # mmap keeps one of its own
    assert after["shared_mb"] - before["shared_mb"] == pytest.approx(3, abs=0.01)
