"""Reading statistics from a pickle: numbers come out, and nothing ever runs."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle  # noqa: TID251 (to write what must be refused)
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actd.policy.formats.safe_pickle import read_arrays

VALUES = {
    "mean": np.arange(6, dtype=np.float32),
    "std": np.linspace(0.1, 1, 6),
    "qpos": np.arange(12, dtype=np.int64).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 3)),
    "scalar": np.float64(2.5),
    "plain": 3.5,
    "row": [1.0, 2.0],
    "name": "left arm",
    "nothing": None,
}
NUMBERS = [key for key in VALUES if key not in ("name", "nothing")]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_reads_alike(protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "stats.pkl"
    file.write_bytes(pickle.dumps(VALUES, protocol))
    found = read_arrays(file)
    assert sorted(found) == sorted(NUMBERS)
    for key in NUMBERS:
        np.testing.assert_array_equal(found[key], VALUES[key])


def test_numpy_1_writes_other_homes(tmp_path: Path) -> None:
    new = pickle.dumps(VALUES, 2)
    old = new.replace(b"numpy._core.", b"numpy.core.")
    assert old != new
    (tmp_path / "stats.pkl").write_bytes(old)
    np.testing.assert_array_equal(read_arrays(tmp_path / "stats.pkl")["mean"], VALUES["mean"])


class _Runs:
    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (_Runs(os.system, "touch proof"), "system"),
        (_Runs(eval, "open('proof', 'w')"), "eval"),
        (_Runs(np.load, "proof", None, True), "load"),
        (collections.OrderedDict(a=1), "OrderedDict"),
        (np.array([{"a": 1}], dtype=object), "'O8'"),
        (np.array(["text"]), "'U4'"),
        (np.zeros(2, [("a", "f4")]), "'V4'"),
        (np.memmap, "numpy.memmap"),
    ],
)
def test_anything_but_numbers_is_refused(
    value: object, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stats.pkl").write_bytes(pickle.dumps({"mean": value}))
    with pytest.raises(ValueError, match=word):
        read_arrays(Path("stats.pkl"))
    assert not Path("proof").exists()


def test_the_words_themselves_cannot_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "stats.pkl"
    file.write_bytes(b"c_codecs\nencode\n}S'meaning'\nS'x'\nsb.")
    with pytest.raises(ValueError, match="changes a function"):
        read_arrays(file)


def test_a_list_is_not_statistics(tmp_path: Path) -> None:
    (tmp_path / "stats.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="list, not a dict"):
        read_arrays(tmp_path / "stats.pkl")


WHOLE = pickle.dumps(VALUES, 4)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut=st.integers(0, len(WHOLE)), at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
@example(cut=len(WHOLE), at=0, byte=0x80)
def test_a_damaged_file_is_an_error_or_arrays(cut: int, at: int, byte: int, tmp_path: Path) -> None:
    data = bytearray(WHOLE)
    data[at] = byte
    file = tmp_path / "stats.pkl"
    file.write_bytes(bytes(data[:cut]))
    found: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        found = read_arrays(file)
    assert all(array.dtype.kind in "biuf" for array in found.values())
