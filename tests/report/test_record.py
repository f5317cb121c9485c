"""JSON files: what is not finite, and whose file it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from actd.errors import UsageError
from actd.report.record import json_file, plain, save_json


def test_everything_becomes_plain_json() -> None:
    found = plain({1: np.array([1.5, np.nan]), "b": (np.float32(2), np.int64(3), float("inf"))})
    assert found == {"1": [1.5, None], "b": [2.0, 3, None]}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_only_our_own_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "eval.json"
    save_json({"a": 1}, file, "actd eval")
    save_json({"a": 2}, file, "actd eval")
    assert json.loads(file.read_text())["a"] == 2
    assert json_file("actd eval").is_at(file)
    for foreign in ('{"a": 1}', "[1]", "not json"):
        file.write_text(foreign)
        with pytest.raises(UsageError, match="not written by actd eval"):
            save_json({"a": 3}, file, "actd eval")
        assert file.read_text() == foreign
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="not written by actd eval"):
        save_json({}, tmp_path / "folder", "actd eval")
    with pytest.raises(UsageError, match=r"cannot be written .*; choose another --out"):
        save_json({}, tmp_path / "no" / "eval.json", "actd eval")
