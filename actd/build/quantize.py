"""Turns a float32 ONNX file into an 8-bit one, calibrated on observations.

Static quantisation by ONNX Runtime's own tool: unsigned 8-bit activations, signed
8-bit weights per channel, on the operators the recipe names. Reads and writes files
only in the folder it is given; anything the tool raises is the caller's to report.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actd.engine import host
from actd.engine.base import Observation
from actd.build.quiet import quiet
from actd.engine.recipe import Attempt, Method


def needs_reduce_range() -> bool:
    """Whether this CPU adds 8-bit products in 16 bits, where full-range weights saturate."""
    return host.is_x86() and not host.VNNI_FLAGS & set(host.cpu()[1])


def quantize(
    model: Path,
    out: Path,
    observations: Sequence[Observation],
    attempt: Attempt,
    method: Method,
) -> None:
    """Write the quantised form of `model` to `out`, ranges measured on `observations`."""
    from onnxruntime import quantization as ortq
    from onnxruntime.quantization.shape_inference import quant_pre_process

    methods = {
        "minmax": ortq.CalibrationMethod.MinMax,
        "percentile": ortq.CalibrationMethod.Percentile,
        "entropy": ortq.CalibrationMethod.Entropy,
    }
    prepared = out.with_name("prepared.onnx")
    with quiet():
        # folds the frozen batch norms into the convolutions, which are else left float
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True, skip_onnx_shape=True)
        ortq.quantize_static(
            str(prepared),
            str(out),
            _reader(observations),
            quant_format=ortq.QuantFormat.QDQ,
            op_types_to_quantize=list(attempt.operators),
            activation_type=ortq.QuantType.QUInt8,
            weight_type=ortq.QuantType.QInt8,
            per_channel=True,
            reduce_range=needs_reduce_range(),
            nodes_to_exclude=_kept_float(prepared, attempt.keep_float),
            calibrate_method=methods[method],
        )
    prepared.unlink()


def _reader(observations: Sequence[Observation]) -> Any:
    """The observations as the quantiser reads them: one at a time, then None."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest = iter(observations)

        def get_next(self) -> Any:
            return next(self._rest, None)

    return Reader()


def _kept_float(model: Path, layers: Sequence[str]) -> list[str]:
    """Names of the nodes that use a weight of one of these layers."""
    import onnx

    graph = onnx.load(str(model), load_external_data=False).graph
    return [
        node.name
        for node in graph.node
        if any(layer in name for name in node.input for layer in layers)
    ]
