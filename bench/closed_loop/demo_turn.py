"""A turn of the daemon's: the demo, without a screen, on a simulator that goes first.

`python -m bench.closed_loop.demo_turn ENGINE FOLDER SECONDS SEED SHIFT_CM` is `actd demo --headless
--json` with these, but for how nice the simulated robot is: in the demo it makes way for the
daemon, and a real arm makes way for nobody.
"""

from __future__ import annotations

import sys
from pathlib import Path

from actd import crash
from actd.demo import Options, run_demo
from actd.errors import ActdError
from bench.closed_loop.realtime import ROBOT_NICE


def main(arguments: list[str]) -> int:
    """Play; the exit status."""
    engine, folder, seconds, seed, shift_cm = arguments
    options = Options(
        seconds=float(seconds),
        headless=True,
        policy=engine,
        chunk_mode=None,
        out=Path(folder),
        realtime="prefer",
        seed=int(seed),
        shift_cm=float(shift_cm),
        robot_nice=ROBOT_NICE,
    )
    try:
        return run_demo(options, as_json=True)
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    crash.install()
    sys.exit(main(sys.argv[1:]))
