"""Every command with what it reads: its words, and the files among which one is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from typer.main import get_command

from actd.cli import app

CHEAP = 0.1


class Call(NamedTuple):
    """`words` with {root}, {out} and {host}; `reads` are globs under root.

    `share` of all inputs, by what a run costs. `writes`: what is in {out} after a failure too.
    """

    words: str
    reads: tuple[str, ...]
    share: float = 1.0
    writes: bool = False

    @property
    def limit_s(self) -> float:
        """How long it may take: those that build an engine take long where nothing is wrong."""
        return 60 if self.share > CHEAP else 300


_TALK = "-c {root}/actd.yaml --host {host}"
_ORIGINAL = "--format original --cameras a,b --image-size 96x128 --heads 8"
_ENGINE = ("engines/ort-int8/*.json", "engines/ort-int8/*")
_CHECKPOINT = ("checkpoint/*.json", "checkpoint/p*", "checkpoint/*", "dataset/meta/info.json")
_DATASET = ("dataset/meta/*.json", "dataset/meta/**/*", "dataset/data/**/*", "dataset/videos/**/*")
_FLIGHT = ("flights/*/run.json", "flights/*/run.json", "flights/*/*")
_EPISODES = ("flights/*/run.json", "flights/*/episodes.jsonl")
_FILE = ("actd.yaml",)
TALKERS = ("arm", "hold", "stop", "reset", "park", "takeover", "keep")
WITHOUT_END = frozenset({"stream"})
"""What listens until Ctrl-C."""

CALLS: dict[str, tuple[Call, ...]] = {
    "config check": (
        Call("{root}/actd.yaml", _FILE, 14),
        Call("{root}/actd.yaml", _ENGINE, 6),
    ),
    "config show": (Call("{root}/actd.yaml", _FILE, 5), Call("{root}/actd.yaml --json", _FILE, 5)),
    "config schema": (Call("", _FILE, 0.2),),
    "service install": (Call("--name robot --dry-run", _FILE, 0.1),),
    "service uninstall": (Call("--name robot --purge --dry-run", _FILE, 0.1),),
    "service status": (Call("--name robot", _FILE, 0.1),),
    "service stop": (Call("--name robot", _FILE, 0.1),),
    "run": (
        Call("{root}/actd.yaml --dry-run", _FILE, 4),
        Call("{root}/actd.yaml --dry-run", _ENGINE, 4),
    ),
    "inspect": (
        Call("{root}/checkpoint", _CHECKPOINT, 14),
        Call("{root}/checkpoint --json", _CHECKPOINT, 4),
        Call("{root}/lerobot-0.1", ("lerobot-0.1/*",), 3),
        Call("{root}/lerobot-2024", ("lerobot-2024/*",), 3),
        Call(f"{{root}}/original {_ORIGINAL}", ("original/*",), 1),
    ),
    "init": (
        Call("{root}/checkpoint --out {out}/a.yaml --fps 50", _CHECKPOINT, 3),
        Call("{root}/checkpoint --out {out}/a.yaml", _CHECKPOINT, 2),
        Call("{root}/engines/ort-int8 --out {out}/a.yaml", _ENGINE, 5),
        Call("{root}/engines/ort-int8 --dataset {root}/dataset --out {out}/a.yaml", _DATASET, 4),
        Call("{root}/checkpoint --engine {root}/engines/ort-int8 --out {out}/a.yaml", _ENGINE, 3),
        Call("{root}/engines/ort-int8 --match {root}/dataset --out {out}/a.yaml", _DATASET, 1),
    ),
    "cameras": (Call("--match {root}/dataset --save {out}/c", _DATASET, 0.5),),
    "infer": (
        Call("{root}/engines/ort-int8 --obs {root}/obs.npz --out {out}/a.npz", ("obs.npz",), 2),
        Call("{root}/engines/ort-int8 --obs {root}/obs.npz --out {out}/a.npz", _ENGINE, 3),
    ),
    "replay": (
        Call("{root}/flights", _FLIGHT, 3),
        Call("{root}/flights --json", _FLIGHT, 2),
        Call("{root}/flights -c {root}/four.yaml", (*_FLIGHT, "four.yaml"), 2),
        Call("{root}/flights --limits", _FLIGHT, 3),
        Call("{root}/dataset --limits -c {root}/actd.yaml", (*_DATASET, *_FILE), 4),
    ),
    "report": (
        Call("{root}/flights --out {out}/r.html", _FLIGHT, 0.2),
        Call("{root}/flights --episodes", _EPISODES, 3),
        # A page of what counts, and a failure that names what does not.
        Call("{root}/flights --episodes --json --out {out}/e.html", _EPISODES, 1, writes=True),
    ),
    "episode start": (Call(f"--place 7 {_TALK}", _FILE, 1),),
    "episode success": (Call(_TALK, _FILE, 0.5), Call(f"--json {_TALK}", _FILE, 0.5)),
    "episode failure": (Call(_TALK, _FILE, 0.5),),
    "episode discard": (Call(_TALK, _FILE, 0.5),),
    "measure latency": (
        Call("{root}/flights", _FLIGHT, 4),
        Call("{root}/flights --json --joint waist", _FLIGHT, 2),
        Call("-c {root}/actd.yaml --joint nothing --yes", _FILE, 2),
    ),
    "eval": (
        Call(
            "{root}/dataset --engine ort-int8 --engines {root}/engines --no-torch --out {out}/e",
            _DATASET,
            0.7,
            writes=True,
        ),
        Call(
            "{root}/dataset --engine ort-int8 --engines {root}/engines --no-torch --out {out}/e",
            _ENGINE,
            0.3,
            writes=True,
        ),
    ),
    "bench": (
        Call("{root}/engines/ort-int8 --rounds 1 --warmup 0", _ENGINE, 0.05),
        Call("--engine {root}/recipe.yaml --rounds 1 --warmup 0", ("recipe.yaml",), 0.02),
    ),
    "export": (
        Call("{root}/checkpoint --out {out} --engine {root}/recipe.yaml", _CHECKPOINT, 0.08),
        Call("{root}/checkpoint --out {out} --engine {root}/recipe.yaml", ("recipe.yaml",), 0.08),
        Call(
            "{root}/checkpoint --out {out} --engine ort-int8 --calibration {root}/dataset",
            _DATASET,
            0.08,
        ),
        Call(
            "{root}/checkpoint --out {out} --engine ort-int8 --calibration {root}/obs.npz",
            ("obs.npz",),
            0.08,
        ),
        Call(f"{{root}}/original {_ORIGINAL} --out {{out}} --engine x", ("original/*",), 0.2),
    ),
    "doctor": (
        Call("{root}/doctor.yaml --seconds 0", ("doctor.yaml",), 0.2),
        Call("{root}/doctor.yaml --seconds 0 --json", _ENGINE, 0.2),
        Call(
            "{root}/doctor.yaml --seconds 0 --bundle {out}/b.tar.gz",
            ("doctor.yaml", *_FLIGHT),
            0.11,
            writes=True,
        ),
        Call("--seconds 0 --checkpoint {root}/checkpoint", _CHECKPOINT, 0.11),
        Call("--restore --dry-run", _FILE, 0.11),
    ),
    "demo": (
        Call(
            "--policy {root}/engines/ort-int8 --headless --seconds 1 --out {out}/d",
            _ENGINE,
            0.02,
            writes=True,
        ),
    ),
    "record": (Call(f"--out {{out}}/d --task t --seconds 1 {_TALK}", _FILE, 0.5),),
    "status": (Call(_TALK, _FILE, 0.5), Call(f"--hgrm {{out}}/h {_TALK}", _FILE, 0.2, writes=True)),
    "echo": (Call(f"--count 1 {_TALK}", _FILE, 0.2), Call(f"status --count 1 {_TALK}", _FILE, 0.2)),
    "drive": (
        Call(f"{{root}}/arm.py:Arm --patience 0.5 --realtime off {_TALK}", (*_FILE, "arm.py"), 0.5),
    ),
    **{name: (Call(_TALK, _FILE, 0.5),) for name in TALKERS},
    "docs": (Call("", _FILE, 0.1), Call("drive", _FILE, 0.1)),
    "mcap": (Call("{root}/flights --out {out}/a.mcap", _FLIGHT, 2),),
    # It needs a terminal.
    "top": (Call(_TALK, _FILE, 0.2),),
    # The honest daemon has other joints: nothing may be written over what is damaged.
    "pose save": (Call(f"park {_TALK}", _FILE, 0.5),),
}


def every_command() -> set[str]:
    """The names of all commands, from the command line itself."""

    def walk(command: Any, name: str) -> Iterator[str]:
        inside = getattr(command, "commands", None)
        if inside is None:
            yield name
        for word, one in (inside or {}).items():
            yield from walk(one, f"{name} {word}".strip())

    return set(walk(get_command(app), ""))
