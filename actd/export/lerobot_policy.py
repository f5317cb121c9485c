"""The files that make an engine folder a policy path of LeRobot's.

`--policy.path=engines/cup/ort-int8`: LeRobot finds the class by `type` (the package
lerobot_policy_actd registers it) and builds its processors from two files. Ours have the steps
that LeRobot's commands configure and no other: normalisation is in the engine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from actd.policy.spec import Feature, PolicySpec

CONFIG = "config.json"
_DEVICE = {"registry_name": "device_processor", "config": {"device": "cpu", "float_dtype": None}}
_PROCESSORS = {
    "policy_preprocessor": [
        {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
        {"registry_name": "to_batch_processor", "config": {}},
        _DEVICE,
    ],
    "policy_postprocessor": [_DEVICE],
}


def write_policy_files(folder: Path, spec: PolicySpec) -> None:
    """Write LeRobot's configuration and processors of a policy into an engine's folder."""
    config = {
        "type": "actd",
        "n_obs_steps": 1,
        "input_features": {feature.key: _feature(feature) for feature in spec.inputs},
        "output_features": {spec.action.key: _feature(spec.action)},
        "device": "cpu",
        "chunk_size": spec.chunk_size,
        "n_action_steps": spec.n_action_steps,
        "temporal_ensemble_coeff": spec.temporal_ensemble_coeff,
    }
    _write(folder / CONFIG, config)
    for name, steps in _PROCESSORS.items():
        _write(folder / f"{name}.json", {"name": name, "steps": steps})


def _feature(feature: Feature) -> dict[str, Any]:
    return {"type": feature.kind, "shape": list(feature.shape)}


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
