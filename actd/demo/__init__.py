"""`actd demo`: the whole path on one computer, with a simulated robot.

`run_demo` is the entry point.
"""

from actd.demo.run import Options, run_demo

__all__ = ["Options", "run_demo"]
