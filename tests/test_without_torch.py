"""Tests of the robot's side run without torch, so that what they pass is what a robot has."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_torch_is_hidden_from_a_test_and_from_its_processes() -> None:
    with pytest.raises(ImportError, match="torch"):
        import torch  # noqa: F401
    code = [sys.executable, "-c", "import torch"]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert "import of torch halted" in done.stderr


def test_what_all_tests_share_needs_no_torch() -> None:
    subprocess.run([sys.executable, "-c", "import tests.conftest, tests.engines"], check=True)
