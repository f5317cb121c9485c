"""`python -m actd` is `actd`."""

import signal

# Ctrl-C before the commands are loaded has nothing to clean up.
_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)

from actd.cli import main  # noqa: E402

if _interrupt is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
main()
