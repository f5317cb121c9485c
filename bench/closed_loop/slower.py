"""An engine that takes longer, as that of a policy for larger pictures does.

The demo's policy infers within a row of its own chunk. In the copy its answer is multiplied by the
identity matrix again and again, by one thread: the processor is busy for that time, as it would be
with a larger policy, and the answer stays the same.
"""

from __future__ import annotations

import math
import shutil
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from actd.engine.load import load_engine
from actd.engine.manifest import read_manifest, record_file, write_manifest
from actd.engine.observations import blank
from actd.errors import ActdError
from actd.timing import interleave

_ANSWER, _BEFORE = "actions", "actions.before"
_TRIAL_TIMES, _TRIAL_RUNS = 1000, 10


def slower(engine: Path, least_ms: float, folder: Path) -> Path:
    """A copy of `engine` in `folder` that takes `least_ms` where nothing else runs.

    Raises ActdError where `engine` is not for ONNX Runtime on the CPU.
    """
    manifest = read_manifest(engine)
    if manifest.runtime != "ort":
        raise ActdError(
            f"--infer-ms: {engine} is for {manifest.runtime}; give --engines with one for ort"
        )
    trial, copy = folder / "trial" / engine.name, folder / engine.name
    _copy(engine, trial, _TRIAL_TIMES)
    own_ms, trial_ms = _fastest_ms(engine, trial)
    each_ms = max(trial_ms - own_ms, 1e-3) / _TRIAL_TIMES
    _copy(engine, copy, math.ceil(max(0.0, least_ms - own_ms) / each_ms))
    return copy


def _copy(engine: Path, copy: Path, times: int) -> None:
    """`engine` with its answer multiplied by the identity matrix so many times."""
    shutil.copytree(engine, copy)
    manifest = read_manifest(copy)
    file = copy / manifest.model
    model = onnx.load(file)
    _multiply(model.graph, times)
    onnx.save(model, file)
    files = tuple(record_file(copy / record.name) for record in manifest.files)
    write_manifest(copy, manifest.model_copy(update={"files": files}))


def _multiply(graph: onnx.GraphProto, times: int) -> None:
    for node in graph.node:
        node.output[:] = [_BEFORE if name == _ANSWER else name for name in node.output]
    (answer,) = (each for each in graph.output if each.name == _ANSWER)
    joints = answer.type.tensor_type.shape.dim[-1].dim_value
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.eye(joints, dtype=np.float32), "identity"),
            numpy_helper.from_array(np.array(times, np.int64), "times"),
        ]
    )
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["condition"], ["condition.after"]),
            helper.make_node("MatMul", ["rows", "identity"], ["rows.after"]),
        ],
        "multiplication",
        [
            helper.make_tensor_value_info("iteration", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
            helper.make_tensor_value_info("rows", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("condition.after", TensorProto.BOOL, []),
            helper.make_tensor_value_info("rows.after", TensorProto.FLOAT, None),
        ],
    )
    graph.node.append(helper.make_node("Loop", ["times", "", _BEFORE], [_ANSWER], body=body))


def _fastest_ms(*engines: Path) -> list[float]:
    """The shortest of several inferences of each: what else the computer did does not count."""
    calls = {}
    with ExitStack() as stack:
        for folder in engines:
            engine = stack.enter_context(closing(load_engine(folder, threads=1)))
            calls[str(folder)] = partial(engine.infer, blank(engine.spec))
        samples = interleave(calls, rounds=_TRIAL_RUNS)
    return [min(taken_ns) / 1e6 for taken_ns in samples.values()]
