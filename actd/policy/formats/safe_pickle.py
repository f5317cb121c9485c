"""Reads numpy arrays in plain containers out of a pickle, without running what it says.

A pickle is a program; this reader knows only the words that numpy's own pickles use
and gives each a meaning of its own: they fill small records, which become arrays of
numbers once the file has been read and checked. Every other word is a ValueError.
"""

from __future__ import annotations

import math
import pickle  # noqa: TID251 (restricted: no name resolves outside _WORDS)
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from actd.errors import one_line

_MAX_BYTES = 1 << 30
_NUMBERS = frozenset("?bBhHiIlLqQefd")

# Whatever a reader of pickles raises when the file is damaged or was made up.
DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _DType:
    """The type of an array's elements: numbers and truth values only."""

    def __init__(self, code: object = None, *_: object) -> None:
        dtype = np.dtype(code) if isinstance(code, str) and len(code) <= 3 else None
        if dtype is None or dtype.char not in _NUMBERS:
            raise ValueError(f"elements of type {code!r}")
        self.dtype = dtype

    def __setstate__(self, state: object) -> None:
        # (version, byte order, ...): the rest describes structures, which numbers have not
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("a malformed element type")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array before its contents are known."""

    def __init__(self, *_: object) -> None:
        self.array: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("a malformed array")
        _, shape, dtype, fortran, raw = state
        self.array = _filled(raw, dtype, shape, "F" if fortran else "C")


def _from_buffer(raw: object, dtype: object, shape: object, order: object) -> _Array:
    made = _Array()
    made.array = _filled(raw, dtype, shape, order)
    return made


def _scalar(dtype: object, raw: object) -> _Array:
    return _from_buffer(raw, dtype, (), "C")


def _filled(raw: object, dtype: object, shape: object, order: object) -> np.ndarray[Any, Any]:
    if not isinstance(dtype, _DType) or not isinstance(raw, (bytes, bytearray)):
        raise ValueError("an array of something else than numbers")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"an array of shape {shape!r}")
    if math.prod(shape) * dtype.dtype.itemsize != len(raw):
        raise ValueError("an array whose contents do not fit its shape")
    flat: np.ndarray[Any, Any] = np.frombuffer(raw, dtype.dtype).copy()
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _latin1(text: object, encoding: object) -> bytes:
    """How Python 3 wrote bytes for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("text in an unknown encoding")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How Python 3 wrote the contents of an empty array for Python 2."""
    return b""


class _Word:
    """A name that a pickle may call and nothing else: it cannot even set an attribute."""

    __slots__ = ("_meaning",)

    def __init__(self, meaning: Callable[..., object]) -> None:
        self._meaning = meaning

    def __call__(self, *args: object) -> object:
        return self._meaning(*args)

    def __setstate__(self, state: object) -> None:
        raise ValueError("it changes a function")


# numpy 1 and 2 write different homes for the same names.
_NUMPY_WORDS: Mapping[str, Callable[..., object]] = {
    "multiarray._reconstruct": _Array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
_WORDS: Mapping[str, _Word] = {
    **{f"numpy.{h}.{w}": _Word(f) for h in ("core", "_core") for w, f in _NUMPY_WORDS.items()},
    "numpy.ndarray": _Word(_Array),
    "numpy.dtype": _Word(_DType),
    "_codecs.encode": _Word(_latin1),
    "__builtin__.bytes": _Word(_no_bytes),
}


class _Reader(pickle.Unpickler):  # type: ignore[misc, unused-ignore]
    def find_class(self, module: str, name: str) -> Any:
        word = _WORDS.get(f"{module}.{name}")
        if word is None:
            raise ValueError(f"it asks for {module}.{name}")
        return word

    def persistent_load(self, pid: object) -> Any:
        raise ValueError(f"it refers to something outside itself ({pid!r})")


def read_arrays(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a pickled dict, by key; entries that are not numbers are left out.

    Raises ValueError when the file is damaged or holds anything but arrays, numbers,
    text and plain containers; OSError when it cannot be read.
    """
    if file.stat().st_size > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES >> 20} MiB")
    try:
        with file.open("rb") as stream:
            data = _Reader(stream).load()
    except ValueError as error:
        raise ValueError(one_line(error)) from None
    except DAMAGE as error:
        raise ValueError(f"damaged ({type(error).__name__})") from None
    if not isinstance(data, dict):
        raise ValueError(f"a pickled {type(data).__name__}, not a dict")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for key, value in data.items():
        array = value.array if isinstance(value, _Array) else _numbers(value)
        if isinstance(key, str) and array is not None:
            arrays[key] = array
    return arrays


def _numbers(value: object) -> np.ndarray[Any, Any] | None:
    """A number or a list of numbers as an array; None for anything else."""
    items = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, (int, float)) for item in items):
        return None
    return np.asarray(value)
