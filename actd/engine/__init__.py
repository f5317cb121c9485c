"""Engines: recipes, manifests, verification, and one module per runtime."""

import os

# onnxruntime sends telemetry from the moment it is imported. Not from a robot.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
