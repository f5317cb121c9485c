"""How long `actd --help` takes, beside an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from bench.harness import Options, main, run

_HELP = "import sys; sys.argv = ['actd', '--help']; from actd.cli import main; main()"


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def bench(options: Options) -> int:
    """Time both as a shell would start them."""
    candidates = {"python": partial(_python, "pass"), "help": partial(_python, _HELP)}
    return run("cli", candidates, options, reference="python")


if __name__ == "__main__":
    main(bench, rounds=15)
