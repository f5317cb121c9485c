"""A policy that moves the arm smoothly, and misbehaves when it sees the grey level for it.

Writes an engine folder with a hand-made ONNX graph: the mean of `cam_high` and the state say
where to go; the mean of `cam_low` says whether to fail, and how. So inference can be broken
from outside, by what a camera shows, in the process and the runtime that a robot has.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actd.arrays import Vector
from actd.engine.manifest import Built, Manifest, Source, record_file, write_manifest
from actd.engine.ort import OUTPUT
from actd.engine.recipe import load_recipe
from actd.policy.spec import Architecture, Feature, PolicySpec

JOINTS = tuple(f"j{index}" for index in range(6))
GRIPPER = JOINTS[-1]
COMPARED = len(JOINTS) - 1
"""So many joints, from the first on, are compared with where they are measured: not the gripper."""
HEIGHT, WIDTH = 48, 64
CHUNK = 50
STATE, HIGH, LOW = "observation.state", "observation.images.cam_high", "observation.images.cam_low"

WELL = 60
LEVELS = {"far": 105, "nan": 130, "huge": 155, "shape": 180, "throw": 205, "hang": 230}
"""Grey level of `cam_low` -> how inference then fails; anything else is well."""
_BAND = 8
_RAMP = 0.02
_FELT = 0.2

Nodes = list[onnx.NodeProto]


def write_engine(folder: Path) -> Path:
    """Write the engine into `folder` and return it."""
    folder.mkdir(parents=True)
    onnx.save(_model(), folder / "model.onnx")
    manifest = Manifest(
        engine="ort-fp32",
        runtime="ort",
        precision="fp32",
        model="model.onnx",
        files=(record_file(folder / "model.onnx"),),
        spec=_spec().to_dict(),
        action_std=None,
        recipe=load_recipe("ort-fp32"),
        source=Source(path="by hand", weights_sha256="0" * 64),
        built=Built(
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
    write_manifest(folder, manifest)
    return folder


def _spec() -> PolicySpec:
    return PolicySpec(
        inputs=(
            Feature(STATE, "STATE", (len(JOINTS),)),
            Feature(HIGH, "VISUAL", (3, HEIGHT, WIDTH)),
            Feature(LOW, "VISUAL", (3, HEIGHT, WIDTH)),
        ),
        action=Feature("action", "ACTION", (len(JOINTS),)),
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        temporal_ensemble_coeff=0.01,
        architecture=Architecture("none", False, False, 1, 1, 1, "relu", 1, 1, 1),
    )


def _model() -> onnx.ModelProto:
    good, nodes = "well", _well("well")
    for name, level in LEVELS.items():
        nodes += _between(f"is_{name}", level)
        nodes.append(
            helper.make_node(
                "If",
                [f"is_{name}"],
                [f"after_{name}"],
                then_branch=_branch(name, _FAILURES[name](f"bad_{name}"), f"bad_{name}"),
                else_branch=_branch(
                    f"no_{name}",
                    [helper.make_node("Identity", [good], [f"as_{name}"])],
                    f"as_{name}",
                ),
            )
        )
        good = f"after_{name}"
    nodes.append(helper.make_node("Identity", [good], [OUTPUT]))
    image = (HEIGHT, WIDTH, 3)
    graph = helper.make_graph(
        nodes,
        "arm",
        [
            helper.make_tensor_value_info(STATE, TensorProto.FLOAT, (len(JOINTS),)),
            helper.make_tensor_value_info(HIGH, TensorProto.UINT8, image),
            helper.make_tensor_value_info(LOW, TensorProto.UINT8, image),
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ("rows", len(JOINTS)))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _share() -> NDArray[np.float32]:
    """How far each joint moves for one brightness, (joints,)."""
    return np.linspace(1.0, 0.4, len(JOINTS), dtype=np.float32)


def reach(levels: tuple[float, float], state: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
    """Smallest and largest that a well engine gives, each (joints,): for grey levels of `cam_high`
    and places of the arm between these.
    """
    share = _share().astype(np.float64)
    low, high = (share * (level / 255 - 0.5) for level in levels)
    return low - _RAMP * share + _FELT * state[0], high + _RAMP * share + _FELT * state[1]


def _well(out: str) -> Nodes:
    """rows[k, j] = share_j * (brightness - 0.5) + a little of k, so that chunks have seams."""
    share = _share()
    ramp = _RAMP * np.sin(np.arange(CHUNK, dtype=np.float32) / 8)[:, None] * share
    return [
        *_mean(HIGH, "high"),
        _constant("share", share / 255),
        _constant("rows", ramp - share / 2),
        _constant("gain", np.float32(_FELT)),
        helper.make_node("Mul", ["high", "share"], ["seen"]),
        helper.make_node("Mul", [STATE, "gain"], ["felt"]),
        helper.make_node("Add", ["seen", "felt"], ["both"]),
        helper.make_node("Add", ["rows", "both"], [out]),
    ]


def _mean(key: str, out: str) -> Nodes:
    return [
        helper.make_node("Cast", [key], [f"{out}_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", [f"{out}_float"], [out], keepdims=0),
    ]


def _between(out: str, level: int) -> Nodes:
    first = next(iter(LEVELS.values())) == level
    return [
        *(_mean(LOW, "low") if first else []),
        _constant(f"{out}_from", np.float32(level - _BAND)),
        _constant(f"{out}_to", np.float32(level + _BAND)),
        helper.make_node("Greater", ["low", f"{out}_from"], [f"{out}_above"]),
        helper.make_node("Less", ["low", f"{out}_to"], [f"{out}_below"]),
        helper.make_node("And", [f"{out}_above", f"{out}_below"], [out]),
    ]


def _branch(name: str, nodes: Nodes, out: str) -> onnx.GraphProto:
    value = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [value])


def _constant(name: str, value: object) -> onnx.NodeProto:
    return helper.make_node(
        "Constant", [], [name], value=numpy_helper.from_array(np.array(value), name)
    )


def _nan(out: str) -> Nodes:
    return [
        _constant("nothing", np.float32(np.nan)),
        helper.make_node("Add", ["well", "nothing"], [out]),
    ]


def _huge(out: str) -> Nodes:
    return [
        _constant("much", np.float32(1e30)),
        helper.make_node("Mul", ["well", "much"], [out]),
    ]


def _far(out: str) -> Nodes:
    """Degrees, to an arm that is told radians."""
    return [
        _constant("degrees", np.float32(180 / np.pi)),
        _constant("aside", np.float32(45)),
        helper.make_node("Mul", ["well", "degrees"], ["turned"]),
        helper.make_node("Add", ["turned", "aside"], [out]),
    ]


def _shape(out: str) -> Nodes:
    return [
        _constant("begin", np.array([0])),
        _constant("stop", np.array([CHUNK - 3])),
        helper.make_node("Slice", ["well", "begin", "stop"], [out]),
    ]


def _throw(out: str) -> Nodes:
    """An index that only the image decides: nothing can see before the run that it is wrong."""
    return [
        helper.make_node("Cast", ["low"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["well", "index"], ["row"], axis=0),
        helper.make_node("Add", ["well", "row"], [out]),
    ]


def _hang(out: str) -> Nodes:
    """A loop without an end."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["carried"], ["carry"]),
        ],
        "forever",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, ()),
            helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, (CHUNK, len(JOINTS))),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("carry", TensorProto.FLOAT, (CHUNK, len(JOINTS))),
        ],
    )
    return [
        _constant("turns", np.array(np.iinfo(np.int64).max)),
        _constant("true", np.array(True)),
        helper.make_node("Loop", ["turns", "true", "well"], [out], body=body),
    ]


_FAILURES: dict[str, Callable[[str], Nodes]] = {
    "far": _far,
    "nan": _nan,
    "huge": _huge,
    "shape": _shape,
    "throw": _throw,
    "hang": _hang,
}
