"""What the tick bench is played with: an engine, two videos, and processes that can be paused.

Engines are built once and kept in the user's cache. Processes that wait for their turn are
stopped whole, so that only one loop at a time has the computer. `end` leaves none of them, and
if the bench is killed the kernel ends them. What a process took of the processor is read from
/proc: user and system time of all its threads.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import metadata
from pathlib import Path

import actd
from actd.engine.cache import cache_root
from actd.engine.manifest import Manifest
from actd.host import end_with_parent
from actd.resources import resource_dir

CAMERAS = {"top": (480, 640), "wrist": (480, 640)}
ENGINE = "ort-int8"
FRAMES = 90

_DROPPED = "-sys_nice,-ipc_lock"
DROP = ("setpriv", f"--bounding-set={_DROPPED}", f"--inh-caps={_DROPPED}")
"""Before a command: run it, as root, without what an ordinary user has not."""


def engine(name: str = ENGINE) -> Path:
    """The default ACT for two cameras of 480x640, untrained, as the engine of this recipe."""
    recipe = (resource_dir("engines") / f"{name}.yaml").read_text(encoding="utf-8")
    runtime, schema = metadata.version("onnxruntime"), Manifest.model_json_schema()
    built_from = f"{actd.__version__} {CAMERAS} {recipe} {runtime} {schema}"
    folder = cache_root() / "bench" / hashlib.sha256(built_from.encode()).hexdigest()[:12]
    if not (folder / name / "manifest.json").is_file():
        from actd.export.export import export_checkpoint
        from actd.policy.untrained import write_untrained

        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=folder) as scratch:
            checkpoint = write_untrained(Path(scratch) / "checkpoint", cameras=CAMERAS)
            tell = partial(print, file=sys.stderr)
            export_checkpoint(checkpoint, folder, [name], "synthetic", tell)
    return folder / name


def videos(folder: Path) -> dict[str, str]:
    """A video file per camera, 30 images a second, each unlike the one before."""
    import cv2
    import numpy as np

    found = {}
    random = np.random.default_rng(0)
    for name, (height, width) in CAMERAS.items():
        path = folder / f"{name}.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (width, height))
        for _ in range(FRAMES):
            coarse = random.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
            writer.write(cv2.resize(coarse, (width, height)))
        writer.release()
        found[name] = str(path)
    return found


class Process:
    """One process with whatever it starts. Its output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, fds: Sequence[int] = ()) -> None:
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=tuple(fds),
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # the bench has no threads
            )

    @property
    def pid(self) -> int:
        """Of the process itself."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def find(self, words: str) -> int:
        """The process, of all that it has started, with these words in its command line."""
        asked = words.encode().replace(b" ", b"\0")
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended since
                line = (folder / "cmdline").read_bytes()
                if asked in line and os.getsid(int(folder.name)) == self.pid:
                    return int(folder.name)
        sys.exit(f"{self.log.stem} has no process {words!r}")

    def check(self) -> None:
        """End the bench, with the last words of this process, if it has ended."""
        if self._process.poll() is not None:
            words = self.log.read_text(errors="replace").strip().splitlines()
            sys.exit(f"{self.log.stem} ended: {words[-1] if words else 'without a word'}")

    def pause(self) -> None:
        """Stop it, with all its children, until `resume`."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def wait(self) -> None:
        """Until it has ended by itself. Raises subprocess.TimeoutExpired."""
        self._process.wait(30)

    def end(self) -> None:
        """Ask it to end, and make sure that nothing of it is left."""
        with suppress(ProcessLookupError):
            self.resume()
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def cpu_s(pid: int) -> float:
    """Processor time that a process has taken so far, in s. Raises OSError where it is gone.

    By the clock of clock_getcpuclockid(3): /proc counts in steps of 10 ms, and a loop that only
    sends takes less than that in a second.
    """
    return time.clock_gettime(~pid << 3 | 2)


def _die_with_parent() -> None:
    # SIGKILL: a stopped process would never hear anything gentler.
    end_with_parent(signal.SIGKILL)
