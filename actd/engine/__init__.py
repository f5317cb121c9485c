"""How a policy runs: recipes, export, verification, and one file per runtime."""

import os

# onnxruntime reports its use to its maker from the moment it is imported. A robot does not.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
