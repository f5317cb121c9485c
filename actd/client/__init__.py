"""What a robot controller imports; needs pyzmq and msgpack only.

`Robot` exchanges state and actions once per control cycle; `Operator` arms, holds, stops
and asks for status; `realtime` asks the kernel for punctuality.
"""

from actd.client.operator import Operator
from actd.client.realtime import realtime
from actd.client.robot import Robot
from actd.link.messages import Action
from actd.mode import Mode

__all__ = ["Action", "Mode", "Operator", "Robot", "realtime"]
