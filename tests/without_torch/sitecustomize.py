"""Found first on PYTHONPATH, hides torch from a Python process; see tests/conftest.py."""

import sys

sys.modules["torch"] = None  # type: ignore[assignment]
