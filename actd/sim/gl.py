"""Choose the simulator's OpenGL backend before MuJoCo is imported, once per process.

Owns the environment variable MUJOCO_GL. Software rendering is enough: EGL with Mesa needs
neither a GPU nor a display. A machine with no usable library gets one line with the command
that installs it.
"""

from __future__ import annotations

import ctypes
import os

from actd.errors import ActdError

INSTALL = "sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri"

# MUJOCO_GL value -> the shared library it needs, best choice first.
BACKENDS = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}


def choose() -> str:
    """Set MUJOCO_GL, unless the user did, and return it. Call before `import mujoco`.

    Raises ActdError with the install command when there is no library to draw with.
    """
    # Mesa would start a worker per core; the cameras are small and the cores are the daemon's.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    backend = os.environ.get("MUJOCO_GL") or next(filter(_loads, BACKENDS), None)
    if backend is None:
        raise ActdError(f"no OpenGL library to draw the cameras with; run `{INSTALL}`")
    os.environ["MUJOCO_GL"] = backend
    return backend


def unusable(error: Exception) -> ActdError:
    """The error for a drawing context that MuJoCo could not make."""
    backend = os.environ.get("MUJOCO_GL", "")
    first_line = str(error).strip().partition("\n")[0] or type(error).__name__
    return ActdError(f"OpenGL ({backend}) cannot draw: {first_line}; run `{INSTALL}`")


def _loads(backend: str) -> bool:
    try:
        ctypes.CDLL(BACKENDS[backend])
    except OSError:
        return False
    return True
