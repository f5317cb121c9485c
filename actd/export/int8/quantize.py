"""Quantize a float32 ONNX file to 8 bits, with the ranges of one calibration.

Ranges are measured once per method and shared by all forms and attempts. `u8s8` (unsigned
activations, for ONNX Runtime and OpenVINO) and `s8s8` (signed, symmetric, for TensorRT) are
static; without frames there are two weaker forms. Weights for CPUs have 7 bits: CPUs without VNNI
add products in 16 bits, where weights of 8 would saturate, and one file should run on all. Uses
ONNX Runtime's quantization tool, whose exceptions pass through.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from actd.engine.base import Observation
from actd.engine.recipe import Graph, Method
from actd.export.frames import evenly
from actd.export.int8.equalize import equalize
from actd.export.int8.layers import OPERATORS, find_layers, layer_names
from actd.export.int8.qdq import round_weights, spare_residuals
from actd.export.quiet import quiet

# Form -> type of the activations, and further options of the tool. TensorRT needs zero points of
# zero, float biases, separate pairs for every consumer, and unquantized outputs of layers.
_FORMS: dict[Graph, tuple[str, dict[str, Any]]] = {
    "u8s8": ("QUInt8", {}),
    "s8s8": (
        "QInt8",
        {
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "AddQDQPairToWeight": True,
            "DedicatedQDQPair": True,
            "OpTypesToExcludeOutputQuantization": list(OPERATORS),
        },
    ),
}
# Method -> the tool's name for it, and settings where its defaults do badly.
_METHODS: dict[Method, tuple[str, dict[str, Any]]] = {
    "minmax": ("MinMax", {}),
    "percentile": ("Percentile", {"symmetric": False, "percentile": 99.999}),
    "entropy": ("Entropy", {}),
}

# Enough to tell wide channels from narrow ones.
_RANGE_FRAMES = 48


class Quantizer:
    """One float32 model and the ranges measured on it.

    `model` is the graph to quantize, constants folded; `layers` are its layers that can be 8-bit,
    in graph order.
    """

    def __init__(self, model: Path, scratch: Path) -> None:
        from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
        from onnxruntime.quantization.shape_inference import quant_pre_process

        scratch.mkdir(exist_ok=True)
        self._scratch = scratch
        self._prepared = scratch / "prepared.onnx"
        with quiet():
            quant_pre_process(str(model), str(self._prepared), skip_symbolic_shape=True)
            self.model = load_model_with_shape_infer(self._prepared)
        self.layers = find_layers(self.model, layer_names(model))
        self._ranges: dict[Method, Any] = {}

    def calibrate(self, method: Method, observations: Sequence[Observation]) -> None:
        """Measure the ranges of all tensors by `method`, unless done before."""
        from onnxruntime.quantization import calibrate

        if method in self._ranges:
            return
        name, settings = _METHODS[method]
        if not self._ranges:
            self._even_out([observations[i] for i in evenly(len(observations), _RANGE_FRAMES)])
        with quiet():
            calibrator = calibrate.create_calibrator(
                self._prepared,
                [*OPERATORS, "Relu"],
                str(self._scratch / "augmented.onnx"),
                calibrate.CalibrationMethod[name],
                extra_options=settings,
            )
            for observation in observations:
                # one at a time: the tool holds all activations of a batch in memory
                calibrator.collect_data(_reader(observation))
            ranges = calibrator.compute_data()
        for node in self.model.graph.node:
            # the ReLU discards negative values, so they need no part of the range
            if node.op_type == "Relu" and self._has_one_reader(node.input[0]):
                ranges.data[node.input[0]] = ranges.data[node.output[0]]
        self._ranges[method] = ranges

    def _even_out(self, observations: Sequence[Observation]) -> None:
        import onnx

        equalize(self.model, observations)
        onnx.save(self.model, str(self._prepared))

    def static(
        self,
        graph: Graph,
        method: Method,
        out: Path,
        layers: Collection[str],
    ) -> None:
        """Write a form whose `layers` are 8-bit, with calibrated ranges."""
        with quiet():
            quantizer = self._quantize(graph, method, layers)
            spare_residuals(quantizer.model.model)
            quantizer.model.clean_initializers()
            quantizer.model.save_model_to_file(str(out))

    def _quantize(self, graph: Graph, method: Method, layers: Collection[str]) -> Any:
        """The tool after quantizing a copy of the model."""
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        activations, options = _FORMS[graph]
        quantizer = QDQQuantizer(
            model=copy.deepcopy(self.model),
            per_channel=True,
            reduce_range=graph == "u8s8",
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType[activations],
            tensors_range=copy.copy(self._ranges[method]),
            nodes_to_quantize=self._nodes(layers),
            nodes_to_exclude=[],
            op_types_to_quantize=list(OPERATORS),
            extra_options=options,
        )
        quantizer.quantize_model()
        return quantizer

    def dynamic(self, out: Path, layers: Collection[str]) -> None:
        """Write a form whose linear `layers` are 8-bit, ranges measured in every inference."""
        from onnxruntime.quantization import quantize_dynamic

        model = copy.deepcopy(self.model)
        # the tool transposes weights, which invalidates the inferred shapes
        del model.graph.value_info[:]
        with quiet():
            quantize_dynamic(
                model,
                str(out),
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                reduce_range=True,
                # the tool splits every Gemm first
                nodes_to_quantize=[f"{name}_MatMul" for name in self._nodes(layers)],
            )

    def weights(self, out: Path, layers: Collection[str]) -> None:
        """Write a form where only the weights of the linear `layers` are 8-bit."""
        import onnx

        model = copy.deepcopy(self.model)
        nodes = self._nodes(layers)
        round_weights(model, [node for node in model.graph.node if node.name in nodes])
        onnx.save(model, str(out))

    def float_share(self, layers: Collection[str]) -> float:
        """Share of the layers' multiply-adds that stays float when `layers` are 8-bit."""
        total = sum(layer.macs for layer in self.layers.values())
        return 1.0 - sum(self.layers[name].macs for name in layers) / total

    def _nodes(self, layers: Collection[str]) -> list[str]:
        # an empty list would mean all
        return [node for name in layers for node in self.layers[name].nodes] or ["none"]

    def _has_one_reader(self, tensor: str) -> bool:
        return sum(tensor in node.input for node in self.model.graph.node) == 1


def _reader(observation: Observation) -> Any:
    """One observation as the calibrator reads it: the observation, then None."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest: Iterator[Observation] = iter([observation])

        def get_next(self) -> Any:
            return next(self._rest, None)

    return Reader()
