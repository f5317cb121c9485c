"""`actd demo`: the whole path on one computer, with a simulated robot.

Gives `run_demo`; the rest of the package is how it works.
"""

from actd.demo.run import run_demo

__all__ = ["run_demo"]
