"""actd: run a trained ACT policy on a real robot, on time, safely, fast.

Nothing is imported here: a robot controller that uses `actd.client` needs
pyzmq and msgpack only.
"""

__version__ = "0.1.0"
