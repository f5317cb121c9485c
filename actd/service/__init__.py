"""actd as a systemd service: installed, taken away, and what can be said of it.

`plan` is pure: from what is on this computer (`machine`) to a list of changes (`changes`), which
`--dry-run` prints and everything else applies. `layout` says what belongs to a service.
"""

from actd.service.changes import Change
from actd.service.layout import Service
from actd.service.machine import Machine, read_machine
from actd.service.plan import install, installed, uninstall

__all__ = ["Change", "Machine", "Service", "install", "installed", "read_machine", "uninstall"]
