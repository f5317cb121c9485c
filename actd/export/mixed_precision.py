"""Write an 8-bit engine's model: as much in 8 bits as its recipe's tolerance allows.

Takes the export's job and a folder, writes the model and returns how it was quantised. Where all
in 8 bits is not exact enough, layers stay float, ranked on a few calibration frames and confirmed
on the validation frames.
Without calibration data a weaker form is written and reported as such. Raises ParityError when no
model with even one layer in 8 bits is exact enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.engine.acceptance import tolerance_excess
from actd.engine.base import Observation
from actd.engine.manifest import Calibration, FloatLayer, Form, Manifest
from actd.engine.recipe import Quantization
from actd.engine.verify import compare
from actd.errors import EngineError
from actd.export.frames import Frames, evenly, frames_text
from actd.export.int8.sensitivity import choose_float_layers
from actd.export.job import Job
from actd.export.validate import FALLBACK_RUNTIME, Validation, chunks, require, validate

_SEARCH_FRAMES = 8


@dataclass(frozen=True, slots=True)
class _Plan:
    """A form, the layers that can be 8-bit in it, its writer, and frames to search on.

    `calibration` are the frames its ranges come from, None without.
    """

    form: Form
    layers: Sequence[str]
    write: Callable[[Path, Collection[str]], None]
    search_frames: Sequence[Observation]
    calibration: Frames | None
    reduce_range: bool


def write_int8(manifest: Manifest, job: Job, folder: Path) -> Calibration:
    """Write the 8-bit model of `manifest` into `folder`. Raises EngineError."""
    recipe = manifest.recipe
    settings = recipe.quantization
    if settings is None:
        raise EngineError(f"{recipe.name}: quantization: missing, precision int8 needs it; add it")
    plan = (_without_frames if job.source is None else _static)(manifest, settings, job)
    float_layers = _search(plan, manifest, settings, job, folder)
    calibration = Calibration(
        form=plan.form,
        source=job.source_name if plan.calibration else None,
        frames=len(plan.calibration or ()),
        method=settings.method if plan.calibration else None,
        reduce_range=plan.reduce_range,
        float_layers=float_layers,
        float_share=job.quantizer.float_share(
            set(plan.layers) - {layer.layer for layer in float_layers}
        ),
    )
    job.report(f"{recipe.name}: {_summary(calibration, folder / manifest.model)}")
    return calibration


def _static(manifest: Manifest, settings: Quantization, job: Job) -> _Plan:
    """Ranges measured beforehand: convolutions and linear layers compute in 8 bits."""
    recipe, quantizer = manifest.recipe, job.quantizer
    frames = job.calibration(settings.synthetic if job.synthetic else settings.frames)
    if job.synthetic:
        job.report(
            f"{recipe.name}: synthetic frames show the speed of an 8-bit engine, not its accuracy: "
            f"errors up to {settings.synthetic_max_std:g} std pass; for a robot give real frames"
        )
    job.report(
        f"{recipe.name}: measuring ranges ({settings.method}) on "
        f"{frames_text(len(frames), frames.source)}"
    )
    quantizer.calibrate(settings.method, frames.observations)
    return _Plan(
        form="static",
        layers=list(quantizer.layers),
        write=partial(quantizer.static, recipe.graph, settings.method),
        search_frames=[frames.observations[i] for i in evenly(len(frames), _SEARCH_FRAMES)],
        calibration=frames,
        reduce_range=recipe.graph == "u8s8",
    )


def _without_frames(manifest: Manifest, settings: Quantization, job: Job) -> _Plan:
    """Only weights of linear layers are 8-bit; activations are not calibrated."""
    del settings
    quantizer = job.quantizer
    # only ONNX Runtime on the CPU can measure ranges in every inference
    dynamic = manifest.runtime == "ort"
    return _Plan(
        form="dynamic" if dynamic else "weights",
        layers=[name for name, layer in quantizer.layers.items() if layer.linear],
        write=quantizer.dynamic if dynamic else quantizer.weights,
        search_frames=job.calibration(_SEARCH_FRAMES).observations,
        calibration=None,
        reduce_range=dynamic,
    )


def _search(
    plan: _Plan, manifest: Manifest, settings: Quantization, job: Job, folder: Path
) -> tuple[FloatLayer, ...]:
    """Write the model with the fewest layers in float that pass. Raises ParityError."""
    recipe, file = manifest.recipe, folder / manifest.model
    if manifest.runtime == "trt":  # there an attempt costs minutes, and the 8-bit grid is the same
        manifest = manifest.model_copy(update={"runtime": FALLBACK_RUNTIME})
    validations: list[Validation] = []

    def measure(layer: str) -> float:
        plan.write(file, [layer])
        actual = chunks(manifest, folder, plan.search_frames)[0]
        return compare(actual, expected(), manifest.action_std).p99_std

    @cache
    def expected() -> NDArray[np.float32]:
        return job.torch(plan.search_frames)

    def confirm(layers: Collection[str]) -> bool:
        plan.write(file, layers)
        validations.append(validation := validate(manifest, folder, job))
        excess = tolerance_excess(validation.parity, recipe.tolerance, validation.added)
        if excess and len(validations) == 1:
            job.report(f"{recipe.name}: all in 8 bits {excess}; looking for layers to keep float")
        return not excess

    layers = {name: job.quantizer.layers[name].float_cost for name in plan.layers}
    fixed_layers = [name for name in layers if name in settings.float_layers]
    for name in fixed_layers:
        del layers[name]
    float_layers = choose_float_layers(layers, measure, confirm)
    if float_layers is None:
        require(validations[-1], recipe, job.validation_frames.source)
    return (
        *(float_layers or ()),
        *(FloatLayer(layer=name, error_std=None) for name in fixed_layers),
    )


def _summary(calibration: Calibration, file: Path) -> str:
    """The quantisation as a sentence."""
    sensitive = [
        f"{layer.layer} ({layer.error_std:.2g} std alone)"
        for layer in calibration.float_layers
        if layer.error_std is not None
    ]
    share = f"{calibration.float_share:.1%} of the multiply-adds stay float"
    reason = f", to be exact enough: {', '.join(sensitive)}" if sensitive else ""
    if calibration.form == "static":
        return f"8-bit convolutions and linear layers; {share}{reason}"
    return (
        "no calibration data: only weights of the linear layers are 8-bit, about "
        f"{file.stat().st_size / 1e6:.0f} MB, {share}{reason}; "
        "give --calibration for the fast form"
    )
