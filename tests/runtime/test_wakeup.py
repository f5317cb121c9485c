from __future__ import annotations

import os
import subprocess
import sys

from actd.runtime.wakeup import WakeUp

RINGER = "import sys; from actd.runtime.wakeup import WakeUp; WakeUp(int(sys.argv[1])).ring()"


def test_another_process_is_heard_even_before_anyone_waits() -> None:
    bell = WakeUp()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", RINGER, str(bell.fd)], pass_fds=[bell.fd], check=True)
    assert bell.wait(0)
    assert not bell.wait(0)
    os.close(bell.fd)


def test_it_wakes_one_who_waits() -> None:
    bell = WakeUp()
    child = subprocess.Popen([sys.executable, "-c", RINGER, str(bell.fd)], pass_fds=[bell.fd])
    assert bell.wait(30)
    assert child.wait(30) == 0
    os.close(bell.fd)
