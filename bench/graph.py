"""What every step that makes the graph smaller is worth, on every CPU runtime.

The default ACT (two cameras of 480x640, chunk 100), untrained. Beside the policy as written and its
lean form stands the lean form with one step undone at a time. All forms of one runtime take turns
in one process on two threads. `speedup` is against the policy as written on the same runtime.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from actd.engine.openvino import core
from actd.engine.ort import OUTPUT
from actd.export.graph.onnx_graph import write_module
from actd.export.graph.optimize import OptimizedPolicy, fold_norms
from actd.export.int8.quantize import Quantizer
from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.network import Network, Policy
from actd.policy.synthetic import synthetic
from actd.policy.untrained import write_untrained
from actd.timing import Percentiles, interleave, percentiles
from bench.harness import Options, main, report, speedup

CAMERAS = {"top": (480, 640), "wrist": (480, 640)}
THREADS = 2
WRITTEN = "as written"
_KEPT_FLOAT = ("action_head", "encoder_robot_state_input_proj")
_CALIBRATION = 3
# for the threads of the one before to go to sleep
_SETTLE_S = 0.05

Call = Callable[[], object]
Observation = Mapping[str, Any]


class AddedPositions(nn.Module):
    """The encoder as it is written: positions added in every layer, three products."""

    positions: Tensor

    def __init__(self, plain: Network, positions: Tensor) -> None:
        super().__init__()
        self.plain = plain.encoder
        self.register_buffer("positions", positions)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.plain(x, self.positions))


class ComputedQueries(nn.Module):
    """The decoder as it is written: from zeros and queries, every time."""

    positions: Tensor

    def __init__(self, plain: Network, positions: Tensor) -> None:
        super().__init__()
        self.plain = plain.decoder
        self.queries = plain.decoder_pos_embed
        self.register_buffer("positions", positions)

    def forward(self, memory: Tensor) -> Tensor:
        return torch.as_tensor(self.plain(self.queries.weight, memory, self.positions))


class ScaledPixels(nn.Module):
    """Pixels normalised channel by channel, one camera after the other."""

    factor: Tensor
    offset: Tensor

    def __init__(self, policy: Policy, index: int) -> None:
        super().__init__()
        self.register_buffer("factor", 1.0 / policy.get_buffer(f"divisor{index}"))
        self.register_buffer("offset", policy.get_buffer(f"offset{index}"))

    def forward(self, images: list[Tensor]) -> Tensor:
        scaled = [p.to(torch.float32) * self.factor + self.offset for p in images]
        return torch.stack([pixels.permute(2, 0, 1) for pixels in scaled])


def forms(checkpoint: Checkpoint) -> dict[str, nn.Module]:
    """The policy as written, its lean form, and that with one step undone, by name."""
    policy = Policy(checkpoint)
    plain, spec = policy.network, policy.spec
    if plain.backbone is None:
        raise ValueError("a policy with cameras is needed")
    positions = plain.positions([(f.shape[1], f.shape[2]) for f in spec.cameras])
    camera = spec.inputs.index(spec.cameras[0])
    kinds = ("pixels", "norms", "cameras", "positions", "queries")
    undone = {kind: OptimizedPolicy(policy) for kind in kinds}
    undone["pixels"].eyes = nn.ModuleList([ScaledPixels(policy, camera)])
    undone["pixels"].backbone = fold_norms(plain.backbone)
    norms = copy.deepcopy(plain.backbone)
    norms.conv1.weight.data /= policy.get_buffer(f"divisor{camera}").reshape(1, -1, 1, 1)
    undone["norms"].backbone = norms
    undone["cameras"].eyes = nn.ModuleList([undone["cameras"].eyes[0] for _ in spec.cameras])
    undone["cameras"].groups = [[i] for i in range(len(spec.cameras))]
    undone["positions"].encoder = AddedPositions(plain, positions)  # type: ignore[assignment]
    undone["queries"].decoder = ComputedQueries(plain, positions)  # type: ignore[assignment]
    rest = {f"without {kind}": module.requires_grad_(False) for kind, module in undone.items()}
    return {WRITTEN: policy, "lean": OptimizedPolicy(policy), **rest}


def with_ort(model: Path, observation: Observation) -> Call:
    """One inference by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
    return partial(session.run, [OUTPUT], observation)


def with_openvino(precision: str, model: Path, observation: Observation) -> Call:
    """One inference by OpenVINO, float parts in `precision`."""
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": THREADS}
    request = core().compile_model(str(model), "CPU", settings).create_infer_request()
    return partial(request.infer, dict(observation))


RUNTIMES: dict[str, tuple[bool, Callable[[Path, Observation], Call]]] = {
    "ort-fp32": (False, with_ort),
    "ort-int8": (True, with_ort),
    "openvino-fp32": (False, partial(with_openvino, "f32")),
    "openvino-bf16": (False, partial(with_openvino, "bf16")),
    "openvino-int8": (True, partial(with_openvino, "bf16")),
}
"""Whether the model is 8-bit, and what opens it."""


def bench(options: Options) -> int:
    """Write every form, then time runtime after runtime."""
    metrics: dict[str, float] = {}
    timings: dict[str, Percentiles] = {}
    with TemporaryDirectory(prefix="actd-bench-") as scratch:
        checkpoint = load_checkpoint(write_untrained(Path(scratch) / "policy", cameras=CAMERAS))
        models = _write(checkpoint, Path(scratch))
        (observation,) = synthetic(checkpoint, count=1, seed=2)
        for runtime, (quantised, opened) in RUNTIMES.items():
            calls = {
                name: opened(file.with_name("int8.onnx") if quantised else file, observation)
                for name, file in models.items()
            }
            for name, samples in _timed(calls, options.rounds).items():
                candidate = f"{runtime} {name}"
                timings[candidate] = percentiles(samples[1])
                metrics[f"{candidate}.p50_ms"] = timings[candidate].to_dict()["p50_ms"]
                metrics[f"{candidate}.speedup"] = speedup(*samples)
    return report("graph", metrics, options, timings=timings)


def _timed(calls: Mapping[str, Call], rounds: int) -> dict[str, tuple[list[int], list[int]]]:
    """For every call the times in ns of the policy as written, and its own."""
    samples = interleave(calls, rounds=rounds, warmup=2, settle_s=_SETTLE_S)
    return {name: (samples[WRITTEN], taken) for name, taken in samples.items()}


def _write(checkpoint: Checkpoint, scratch: Path) -> dict[str, Path]:
    """`model.onnx` of every form in a folder of its own, and `int8.onnx` beside it."""
    frames = synthetic(checkpoint, count=_CALIBRATION, seed=1)
    models = {}
    for name, module in forms(checkpoint).items():
        folder = scratch / name.replace(" ", "-")
        folder.mkdir()
        models[name] = folder / "model.onnx"
        write_module(module, checkpoint.spec, models[name])
        quantizer = Quantizer(models[name], folder / "quantizer")
        quantizer.calibrate("minmax", frames)
        layers = [layer for layer in quantizer.layers if layer not in _KEPT_FLOAT]
        quantizer.static("u8s8", "minmax", folder / "int8.onnx", layers)
    return models


if __name__ == "__main__":
    main(bench, rounds=15)
