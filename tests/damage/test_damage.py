"""Every command with damaged inputs: an answer in words, never a traceback, never a hang.

The same series every time; `ACTD_DAMAGE_SEED` and `ACTD_DAMAGE_INPUTS` choose another one, or a
longer one: 20 000 take about 25 minutes. `actd run` beyond --dry-run is in test_run.py.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from actd import cli, crash
from tests.damage.commands import CALLS, CHEAP, WITHOUT_END, Call, every_command
from tests.damage.daemon import Daemon, answering
from tests.damage.damage import damaged
from tests.damage.run import Outcome, run
from tests.damage.world import NEEDLE, write_world

QUICK, SLOW = 150, 5_000
CODES = {0, 1, 2, 78}
_FILE = re.compile(r"please report it with (\S+)")
_REFUSED = (
    "bench",
    "cameras",
    "demo",
    "doctor",
    "drive",
    "export",
    "measure latency",
    "pose save",
    "replay",
    "top",
)


@dataclass
class World:
    """What commands read, where they write, and whom they talk to."""

    root: Path
    out: Path
    aside: Path
    host: str
    daemon: Daemon

    def words(self, name: str, call: Call) -> list[str]:
        """The command line."""
        line = f"{name} {call.words}"
        return line.format(root=self.root, out=self.out, host=self.host).split()

    def listing(self) -> dict[str, tuple[int, int]]:
        """Every file that no command may touch."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                stat = os.lstat(f"{folder}/{name}")
                found[f"{folder}/{name}"] = (stat.st_size, stat.st_mtime_ns)
        return found


@dataclass
class Tally:
    """What was tried, and the first example of everything that went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    codes: Counter[int | None] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, example: str) -> None:
        """One thing that went wrong; examples of the same kind are one."""
        self.counts[kind] += 1
        self.wrong.setdefault(kind, example)

    def __str__(self) -> str:
        lines = [f"{self.tried.total()} inputs, exit codes {dict(self.codes)}"]
        for kind, example in self.wrong.items():
            lines.append(f"\n{self.counts[kind]} x {kind}\n  {example}")
        return "\n".join(lines)


@pytest.fixture(scope="module")
def world(
    checkpoint: Path, engines: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("damage")
    for name in ("root", "out", "here", "home"):
        (folder / name).mkdir()
    write_world(folder / "root", checkpoint, engines)
    host = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.7"
    with pytest.MonkeyPatch.context() as patch, answering(host) as daemon:
        patch.chdir(folder / "here")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(cli, "get_command", cache(cli.get_command))  # it takes longer than most
        patch.setenv("COLUMNS", "300")
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "HF_HOME"):
            patch.setenv(name, str(folder / "home"))
        yield World(folder / "root", folder / "out", folder / "aside", host, daemon)


def test_every_command_is_here() -> None:
    assert set(CALLS) == every_command() - WITHOUT_END


@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_is_whole_is_read(name: str, world: World) -> None:
    """Else nothing would be found by damaging it."""
    for call in (call for call in CALLS[name] if call.share > CHEAP):
        world.daemon.chance = None
        done = _run(world, name, call)
        # Refused for another reason than damage, or found to differ.
        allowed = {0, 1, 2} if name in _REFUSED else {0}
        assert done.code in allowed, done.err


@pytest.mark.timeout(0)
def test_a_hundred_and_fifty_inputs(world: World) -> None:
    _drive(world, int(os.environ.get("ACTD_DAMAGE_INPUTS", QUICK)), cheap=True)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_thousands_of_inputs(world: World) -> None:
    tally = _drive(world, int(os.environ.get("ACTD_DAMAGE_INPUTS", SLOW)), cheap=False)
    assert set(tally.tried) == every_command() - WITHOUT_END


def _drive(world: World, count: int, *, cheap: bool) -> Tally:
    seed = int(os.environ.get("ACTD_DAMAGE_SEED", "1"))
    calls = [(name, call) for name, some in CALLS.items() for call in some]
    calls = [(name, call) for name, call in calls if call.share > CHEAP or not cheap]
    if only := os.environ.get("ACTD_DAMAGE_ONLY"):
        calls = [(name, call) for name, call in calls if name in only.split(",")]
    tally, began = Tally(), time.monotonic()
    whole = world.listing()
    # Each once at least, whatever its share.
    once = calls if count >= len(calls) else []
    drawn = random.Random(seed).choices(calls, [call.share for _, call in calls], k=count)
    for number, (name, call) in enumerate([*once, *drawn[len(once) :]]):
        _try(world, name, call, random.Random(f"{seed} {number}"), tally)
        if world.listing() != whole:
            raise AssertionError(f"{name} {call.words} changed what it reads: {tally}")
    took = f"{time.monotonic() - began:.0f} s: {dict(tally.tried)}"
    sys.__stdout__.write(f"\nseed {seed}: {tally}\n{took}\n")  # type: ignore[union-attr]
    assert tally.tried.total() == count
    assert not tally.wrong, f"seed {seed}: {tally}"
    return tally


def _try(world: World, name: str, call: Call, chance: random.Random, tally: Tally) -> None:
    files = [p for pattern in call.reads for p in world.root.glob(pattern) if p.is_file()]
    others = [path for path in world.root.rglob("*") if path.is_file()]
    file = chance.choice(sorted(files)) if chance.random() < 0.9 else chance.choice(files)
    world.daemon.chance = random.Random(chance.random()) if chance.random() < 0.7 else None
    with damaged(file, others, world.aside, chance) as what:
        (world.root.parent / "current").write_text(f"{name} {call.words}: {what}")
        before = world.listing() if chance.random() < 0.2 else None
        done = _run(world, name, call)
        if before is not None and world.listing() != before:
            tally.add(f"{name}: changes what it reads", what)
    tally.tried[name] += 1
    tally.codes[done.code] += 1
    _judge(world, name, call, done, what=what, tally=tally)


def _run(world: World, name: str, call: Call) -> Outcome:
    shutil.rmtree(world.out)
    world.out.mkdir()
    return run(world.words(name, call), call.limit_s)


def _judge(world: World, name: str, call: Call, done: Outcome, *, what: str, tally: Tally) -> None:
    said = done.out + done.err
    example = f"{name} {call.words}: {what}: {done.err.strip()[-300:]}"
    if done.code == crash.EXIT_CODE or crash.__name__ in said:
        for file in _FILE.findall(said):
            trace = Path(file).read_text().partition("\n\n")[2].strip()
            last = [line for line in trace.splitlines() if "/actd/" in line][-1:]
            tally.add(f"crash {Path(file).stem} {last} {trace.splitlines()[-1][:120]}", example)
        if not _FILE.search(said):
            tally.add(f"{name}: crash without a file", example)
    elif done.code is None:
        tally.add(f"{name}: hangs", example)
    elif done.code not in CODES:
        tally.add(f"{name}: exits {done.code}", example)
    elif done.code and not (done.err + done.out).strip():
        tally.add(f"{name}: fails without a word", example)
    if "Traceback" in said or ("not foreseen" in done.err and done.code != crash.EXIT_CODE):
        tally.add(f"{name}: traceback", example)
    if NEEDLE in said:
        tally.add(f"{name}: shows a password", example)
    left = sorted(path.name for path in world.out.rglob("*") if path.is_file())
    if done.code and left and not call.writes:
        tally.add(f"{name}: fails and leaves {left}", example)
    here = sorted(path.name for path in Path.cwd().iterdir())
    if here:
        tally.add(f"{name}: writes {here} where it runs", example)
        for path in Path.cwd().iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
