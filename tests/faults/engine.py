"""A policy that moves the arm smoothly, and misbehaves when it sees the grey level for it.

Writes an engine folder with a hand-made ONNX graph: the mean of `cam_high` and the state say
where to go; the mean of `cam_low` says whether to fail, and how. So inference can be broken
from outside, by what a camera shows, in the process and the runtime that a robot has.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from actd.arrays import Vector
from actd.engine.ort import OUTPUT
from tests import engines
from tests.engines import STATE_GAIN, Nodes, constant, mean, motion, policy_spec, shares

JOINTS = tuple(f"j{index}" for index in range(6))
GRIPPER = JOINTS[-1]
COMPARED = len(JOINTS) - 1
"""So many joints, from the first on, are compared with where they are measured: not the gripper."""
HEIGHT, WIDTH = 48, 64
CHUNK = 50
HIGH, LOW = "observation.images.cam_high", "observation.images.cam_low"

WELL = 60
LEVELS = {"far": 105, "nan": 130, "huge": 155, "shape": 180, "throw": 205, "hang": 230}
"""Grey level of `cam_low` -> how inference then fails; anything else is well."""
_BAND = 8
_RAMP = 0.02

SPEC = policy_spec(
    len(JOINTS),
    {"cam_high": (HEIGHT, WIDTH), "cam_low": (HEIGHT, WIDTH)},
    CHUNK,
    temporal_ensemble_coeff=0.01,
)


def write_engine(folder: Path) -> Path:
    """Write the engine into `folder` and return it."""
    return engines.write_engine(folder, SPEC, _nodes())


def _nodes() -> Nodes:
    nodes = mean(HIGH, "high") + mean(LOW, "low")
    nodes += motion(SPEC, "high", _RAMP * np.sin(np.arange(CHUNK, dtype=np.float32) / 8), "well")
    good = "well"
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
    return [*nodes, helper.make_node("Identity", [good], [OUTPUT])]


def reach(levels: tuple[float, float], state: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
    """Smallest and largest that a well engine gives, each (joints,): for grey levels of `cam_high`
    and places of the arm between these.
    """
    share = shares(len(JOINTS)).astype(np.float64)
    low, high = (share * (level / 255 - 0.5) for level in levels)
    return low - _RAMP * share + STATE_GAIN * state[0], high + _RAMP * share + STATE_GAIN * state[1]


def _between(out: str, level: int) -> Nodes:
    return [
        constant(f"{out}_from", np.float32(level - _BAND)),
        constant(f"{out}_to", np.float32(level + _BAND)),
        helper.make_node("Greater", ["low", f"{out}_from"], [f"{out}_above"]),
        helper.make_node("Less", ["low", f"{out}_to"], [f"{out}_below"]),
        helper.make_node("And", [f"{out}_above", f"{out}_below"], [out]),
    ]


def _branch(name: str, nodes: Nodes, out: str) -> onnx.GraphProto:
    value = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [value])


def _nan(out: str) -> Nodes:
    return [
        constant("nothing", np.float32(np.nan)),
        helper.make_node("Add", ["well", "nothing"], [out]),
    ]


def _huge(out: str) -> Nodes:
    return [
        constant("much", np.float32(1e30)),
        helper.make_node("Mul", ["well", "much"], [out]),
    ]


def _far(out: str) -> Nodes:
    """Degrees, to an arm that is told radians."""
    return [
        constant("degrees", np.float32(180 / np.pi)),
        constant("aside", np.float32(45)),
        helper.make_node("Mul", ["well", "degrees"], ["turned"]),
        helper.make_node("Add", ["turned", "aside"], [out]),
    ]


def _shape(out: str) -> Nodes:
    return [
        constant("begin", np.array([0])),
        constant("stop", np.array([CHUNK - 3])),
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
        constant("turns", np.array(np.iinfo(np.int64).max)),
        constant("true", np.array(True)),
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
