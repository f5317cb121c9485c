"""`python -m actd` is `actd`."""

from actd.cli import main

main()
