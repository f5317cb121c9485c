"""Engine folders made by hand: a small ONNX graph and its manifest, without torch.

What such a policy plans follows from what it sees: the brightness of one camera and the state say
where to go, and a wave over the chunk goes on top. Tests that need an engine only to have one, or
one that misbehaves to order, take it from here; where the export is the subject, they export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from actd.engine.load import open_engine
from actd.engine.manifest import BuildInfo, Manifest, SourceCheckpoint, record_file, write_manifest
from actd.engine.ort import OUTPUT
from actd.engine.recipe import load_recipe
from actd.engine.reference import REFERENCE, write_reference
from actd.policy.spec import IMAGE_PREFIX, Architecture, Feature, PolicySpec

STATE = "observation.state"
STATE_GAIN = 0.2
"""How much of the state is in every row of a chunk."""
_WAVE = 0.3

Nodes = list[onnx.NodeProto]

_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


def policy_spec(
    joints: int,
    cameras: Mapping[str, tuple[int, int]],
    chunk_size: int,
    temporal_ensemble_coeff: float | None = None,
    trained_hz: float | None = None,
) -> PolicySpec:
    """A policy of so many joints. `cameras`: short name -> (height, width)."""
    return PolicySpec(
        inputs=(
            Feature(STATE, "STATE", (joints,)),
            *(Feature(IMAGE_PREFIX + n, "VISUAL", (3, *size)) for n, size in cameras.items()),
        ),
        action=Feature("action", "ACTION", (joints,)),
        chunk_size=chunk_size,
        n_action_steps=chunk_size,
        temporal_ensemble_coeff=temporal_ensemble_coeff,
        architecture=Architecture("none", False, False, 1, 1, 1, "relu", 1, 1, 1),
        trained_hz=trained_hz,
    )


def write_engine(folder: Path, spec: PolicySpec, nodes: Sequence[onnx.NodeProto]) -> Path:
    """Write the engine of a graph that makes `OUTPUT`, (rows, joints), into `folder`.

    Its own chunks for two observations are its reference.
    """
    folder.mkdir(parents=True)
    onnx.save(_model(spec, nodes), folder / "model.onnx")
    manifest = _manifest(spec, folder, ["model.onnx"])
    observations = [_observation(spec, grey) for grey in (40, 60)]
    engine = open_engine(folder, manifest)
    write_reference(folder, observations, np.stack([engine.infer(o) for o in observations]))
    engine.close()
    write_manifest(folder, _manifest(spec, folder, ["model.onnx", REFERENCE]))
    return folder


def _observation(spec: PolicySpec, grey: int) -> dict[str, NDArray[Any]]:
    return {
        feature.key: np.full(
            feature.boundary_shape, grey if feature.kind == "VISUAL" else 0, feature.boundary_dtype
        )
        for feature in spec.inputs
    }


def _manifest(spec: PolicySpec, folder: Path, files: Sequence[str]) -> Manifest:
    return Manifest(
        engine="ort-fp32",
        runtime="ort",
        precision="fp32",
        model="model.onnx",
        files=tuple(record_file(folder / name) for name in files),
        spec=spec,
        action_std=None,
        recipe=load_recipe("ort-fp32"),
        source=SourceCheckpoint(path="by hand", weights_sha256="0" * 64),
        built=BuildInfo(
            actd=None,
            torch=None,
            onnx=onnx.__version__,
            onnxruntime=None,
            cpu="any",
            cpu_flags=(),
            platform="any",
            utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        ),
        calibration=None,
        parity=None,
    )


def write_waving_engine(folder: Path, spec: PolicySpec) -> Path:
    """An engine that is well: a chunk is one whole wave, so that the last row leads into the first.

    Its middle follows the first camera.
    """
    turns = 2 * np.pi * np.arange(spec.chunk_size) / spec.chunk_size
    wave = (_WAVE * np.sin(turns)).astype(np.float32)
    nodes = mean(spec.cameras[0].key, "brightness") + motion(spec, "brightness", wave)
    return write_engine(folder, spec, nodes)


def shares(joints: int) -> NDArray[np.float32]:
    """How far each joint goes from dark to bright, (joints,)."""
    return np.linspace(1.0, 0.4, joints, dtype=np.float32)


def motion(
    spec: PolicySpec, brightness: str, wave: NDArray[np.float32], out: str = OUTPUT
) -> Nodes:
    """rows[k, j] = share_j * (brightness / 255 - 0.5 + wave_k) + STATE_GAIN * state_j.

    `brightness` is a scalar of the graph, see `mean`; `wave` is (chunk_size,).
    """
    share = shares(spec.action_dim)
    return [
        constant("share", share / 255),
        constant("rows", wave[:, None] * share - share / 2),
        constant("gain", np.float32(STATE_GAIN)),
        helper.make_node("Mul", [brightness, "share"], ["seen"]),
        helper.make_node("Mul", [STATE, "gain"], ["felt"]),
        helper.make_node("Add", ["seen", "felt"], ["both"]),
        helper.make_node("Add", ["rows", "both"], [out]),
    ]


def mean(key: str, out: str) -> Nodes:
    """The mean of an image as a scalar, 0 to 255."""
    return [
        helper.make_node("Cast", [key], [f"{out}_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", [f"{out}_float"], [out], keepdims=0),
    ]


def constant(name: str, value: ArrayLike) -> onnx.NodeProto:
    """A node that gives `value`."""
    return helper.make_node(
        "Constant", [], [name], value=numpy_helper.from_array(np.array(value), name)
    )


def _model(spec: PolicySpec, nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info(f.key, _TYPES[f.boundary_dtype], f.boundary_shape)
        for f in spec.inputs
    ]
    rows = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ("rows", spec.action_dim))
    graph = helper.make_graph(nodes, "arm", inputs, [rows])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model
