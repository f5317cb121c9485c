"""The controller in the README, as printed there, against a real daemon."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from actd.errors import LinkError
from tests.runtime.conftest import ROBOT, Daemon, wait_until

README = Path(__file__).parents[2] / "README.md"

MY_ARM = """
class MyArm:
    pose = {f"j{index}": 0.0 for index in range(14)}
    def read_joints(self): return self.pose
    def hold(self): pass
    def command(self, targets):
        self.pose = targets
        print("moved", flush=True)
"""


def test_the_controller_in_the_readme_moves_an_arm(daemon: Daemon) -> None:
    channels = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert len(channels) == 1
    assert len(channels[0].splitlines()) <= 13
    code = MY_ARM + channels[0].replace(
        'Robot("aloha")', f'Robot("{ROBOT}", ports=Ports(*{[*vars(daemon.ports).values()]}))'
    )
    code = "from actd.link.sockets import Ports\n" + code
    controller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        with daemon.operator() as operator:

            def arm() -> bool:
                try:
                    operator.arm()
                except LinkError:
                    return False
                return True

            wait_until(arm, "the daemon to arm", 20)
            assert controller.stdout is not None
            assert controller.stdout.readline() == "moved\n"
    finally:
        controller.kill()
        controller.wait()
