"""`actd run` with damaged inputs, really started: it ends by itself or at SIGTERM, and in words.

`ACTD_DAMAGE_RUNS` chooses a longer series: each takes some seconds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.damage.damage import damaged
from tests.damage.world import CONFIG, NEEDLE, write_world
from tests.ports import free_ports, link_section

RUNS = 24
_BEFORE_SIGTERM_S = (3, 6, 12)
_AFTER_SIGTERM_S = 60
# Ended by the signal itself: before the daemon had begun, on a busy computer.
_UNBEGUN = -signal.SIGTERM
_CODES = {0, 1, 2, 78, _UNBEGUN}
_READ = ("actd.yaml", "actd.yaml", "engines/ort-int8/*.json", "engines/ort-int8/*", "top.mp4")


class Run(NamedTuple):
    code: int | None
    text: str
    left: bool
    """Whether processes were left behind."""


@pytest.fixture(scope="module")
def world(checkpoint: Path, engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("damage") / "root", checkpoint, engines)


def deployment(world: Path, folder: Path, chance: random.Random) -> Path:
    """A deployment that starts, with a camera that plays or one that nobody answers for."""
    (folder / "engines").mkdir(parents=True)
    shutil.copytree(world / "engines" / "ort-int8", folder / "engines" / "ort-int8")
    video = next(world.glob("dataset/videos/**/*.mp4"))
    shutil.copy(video, folder / "top.mp4")
    head, _, _ = CONFIG.partition("cameras:")
    source = chance.choice(("top.mp4", f"rtsp://{NEEDLE}:{NEEDLE}@127.0.0.1:9/{NEEDLE}"))
    (folder / "actd.yaml").write_text(
        f'{head}cameras:\n  top: {{type: opencv, index_or_path: "{source}", resize: [96, 64]}}\n'
        "control: {rate_hz: 50, policy_hz: 50}\n"
        f"{link_section(free_ports())}\n"
        "process: {realtime: 'off'}\n"
        "flight: {folder: flights, max_mb: 16}\n"
    )
    return folder


def started(folder: Path, before_s: float) -> Run:
    """`actd run` in `folder`, asked to end after `before_s`."""
    home = {name: str(folder / "home") for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    process = subprocess.Popen(
        [sys.executable, "-m", "actd", "run", "actd.yaml"],
        cwd=folder,
        env={**os.environ, **home},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(before_s)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        text, _ = process.communicate(timeout=_AFTER_SIGTERM_S)
        return Run(process.returncode, text, left=lives(process.pid))
    except subprocess.TimeoutExpired:
        return Run(None, "", left=False)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def lives(group: int) -> bool:
    """Whether a process of the group is still there after a moment."""
    for _ in range(20):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def problems(run: Run) -> list[str]:
    wrong = {
        "hangs": run.code is None,
        f"exits {run.code}": run.code not in {None, *_CODES},
        "fails without a word": run.code not in {None, 0, _UNBEGUN} and not run.text.strip(),
        "traceback": "Traceback" in run.text or "not foreseen by actd" in run.text,
        "shows a password": NEEDLE in run.text,
        "leaves processes": run.left,
    }
    return [name for name, found in wrong.items() if found]


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_daemon_of_damaged_files_ends_in_words(world: Path, tmp_path: Path) -> None:
    seed = os.environ.get("ACTD_DAMAGE_SEED", "1")
    wrong: list[str] = []
    codes: Counter[int | None] = Counter()
    for number in range(int(os.environ.get("ACTD_DAMAGE_RUNS", RUNS))):
        chance = random.Random(f"{seed} run {number}")
        folder = deployment(world, tmp_path / str(number), chance)
        files = [p for p in folder.glob(chance.choice(_READ)) if p.is_file()]
        others = [p for p in folder.rglob("*") if p.is_file()]
        with damaged(chance.choice(sorted(files)), others, tmp_path / "aside", chance) as what:
            run = started(folder, chance.choice(_BEFORE_SIGTERM_S))
        codes[run.code] += 1
        wrong += [f"{number} {what}: {name}: {run.text[-600:]}" for name in problems(run)]
        shutil.rmtree(folder)
    sys.__stdout__.write(f"\nseed {seed}: exit codes {dict(codes)}\n")  # type: ignore[union-attr]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_what_is_whole_runs_until_it_is_told_to_end(world: Path, tmp_path: Path) -> None:
    run = started(deployment(world, tmp_path / "whole", random.Random(0)), before_s=10)
    assert run.code == 0, run.text
    assert problems(run) == []
