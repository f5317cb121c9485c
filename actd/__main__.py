"""`actd` and `python -m actd`."""

import signal
import sys

# Ctrl-C before the commands are loaded has nothing to clean up.
_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """Entry point of the `actd` command."""
    if sys.argv[1:2] == ["drive"]:
        # It runs where the robot's driver lives, which need not have what the others import.
        from actd.drive.command import main as command
    else:
        from actd.cli import main as command
    if _interrupt is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command()


if __name__ == "__main__":
    main()
