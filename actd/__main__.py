"""`actd` and `python -m actd`."""

import signal

# Ctrl-C before the commands are loaded has nothing to clean up.
_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)

from actd import cli  # noqa: E402


def main() -> None:
    """Entry point of the `actd` command."""
    if _interrupt is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
