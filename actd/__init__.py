"""actd: run a trained ACT policy on a real robot, on time, safely, fast.

    from actd import Engine

    engine = Engine("engines/cup")
    actions = engine(observation)

Nothing is imported before it is used: a robot controller that uses `actd.client` needs
pyzmq and msgpack only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actd.engine.standalone import Engine

__version__ = "0.1.0"

__all__ = ["Engine"]


def __getattr__(name: str) -> Any:
    if name == "Engine":
        return import_module("actd.engine.standalone").Engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
