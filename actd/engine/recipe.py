"""Recipes: one YAML file per engine that says how it is built and how exact it must be.

Reads `engines/<name>.yaml` from the shipped resources; gives a checked, frozen
model. A recipe that cannot be read is an EngineError naming file and key.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from actd.errors import EngineInputError, one_line
from actd.files import read_text
from actd.resources import resource_dir

Method = Literal["minmax", "percentile", "entropy"]
Runtime = Literal["torch", "ort", "openvino", "cuda", "ort-trt", "trt"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Graph = Literal["fp32", "fp16", "u8s8", "s8s8", "pt2"]

# Names with another meaning on the command line.
_RESERVED = ("all", "auto", "torch", "trt")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tolerance(_Model):
    """How exact an engine must be: errors against torch in standard deviations of the joint.

    `max_std` bounds the largest single error, and `p99_std` the 99th percentile. Where recorded
    actions are at hand `added_error` takes the place of the percentile: the part of the policy's
    own mean error on them that the engine may add to it. None: they are not considered.
    """

    max_std: float = Field(gt=0)
    p99_std: float = Field(gt=0)
    added_error: float | None = Field(default=None, gt=0)


class Quantization(_Model):
    """What becomes 8-bit, and how ranges are measured.

    Convolutions and linear layers become 8-bit, except those in `float_layers` and those that a
    search finds too sensitive. Ranges are measured on at most `frames` frames, or on `synthetic`
    synthetic ones; `synthetic_max_std` is the largest error allowed on those.
    """

    method: Method = "minmax"
    frames: int = Field(default=200, ge=1)
    synthetic: int = Field(default=24, ge=1)
    synthetic_max_std: float = Field(default=0.5, gt=0)
    float_layers: tuple[str, ...] = (
        "encoder_robot_state_input_proj",
        "encoder_env_state_input_proj",
        "action_head",
    )


class Recipe(_Model):
    """How one engine is built.

    `graph` is the format of the model file: ONNX in float32 or float16, ONNX with 8-bit
    quantization for CPUs (`u8s8`) or for TensorRT (`s8s8`), or torch.export (`pt2`), which
    `compile` passes to torch.compile. `float_part` is the type of an 8-bit engine's float layers,
    where the runtime and the CPU have a choice. `auto` False excludes the engine from `--engine
    auto`. `synthetic_max_std` is the largest error allowed on synthetic frames, if rounding errors
    grow on them; an 8-bit engine's is in its quantization.
    """

    name: str
    runtime: Runtime
    precision: Precision
    graph: Graph
    compile: bool = False
    float_part: Literal["fp32", "bf16"] = "fp32"
    auto: bool = True
    opset: Literal[18] = 18  # what the exporter writes natively
    tolerance: Tolerance
    synthetic_max_std: float | None = Field(default=None, gt=0)
    quantization: Quantization | None = None

    def on_synthetic(self) -> Recipe:
        """The recipe for an engine that is validated on synthetic frames.

        They are unlike the training data, so rounding errors grow on them as they do not in use:
        coarse engines have a tolerance of their own for them, others the usual one.
        """
        settings = self.quantization
        limit = settings.synthetic_max_std if settings else self.synthetic_max_std
        if limit is None:
            return self
        tolerance = Tolerance(max_std=limit, p99_std=limit)
        return self.model_copy(update={"tolerance": tolerance})


def recipe_names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(file.stem for file in resource_dir("engines").glob("*.yaml"))


def load_recipe(reference: str) -> Recipe:
    """A shipped recipe by its name, or any by the path of its .yaml. Raises EngineError."""
    return read_recipe(recipe_file(reference))


def recipe_file(reference: str) -> Path:
    """The file of the recipe that `reference` names. Raises EngineError."""
    names = recipe_names()
    if reference in names:
        return resource_dir("engines") / f"{reference}.yaml"
    path = Path(reference)
    if path.suffix not in (".yaml", ".yml"):
        raise EngineInputError(
            f"engine {reference!r}: no such recipe; use one of {', '.join(names)}, auto or trt "
            "for the best of them, or the path of a recipe.yaml"
        )
    if path.stem in (*names, *_RESERVED) or not _NAME.fullmatch(path.stem):
        raise EngineInputError(
            f"{reference}: an engine is named after its recipe's file, and {path.stem!r} is taken "
            "or not a plain name; rename the file"
        )
    return path


def read_recipe(file: Path) -> Recipe:
    """The recipe in a file; its name is the file's. Raises EngineError."""
    try:
        data = YAML(typ="safe", pure=True).load(read_text(file, max_bytes=1 << 20))
    except OSError as error:
        raise EngineInputError(
            f"{file}: cannot be read ({error.strerror}); give a recipe's name or path"
        ) from None
    except Exception as error:  # noqa: BLE001  the parser raises anything for a damaged file
        reason = one_line(error)
        raise EngineInputError(
            f"{file}: not readable YAML ({reason}); correct the recipe"
        ) from None
    if not isinstance(data, dict):
        raise EngineInputError(
            f"{file}: a YAML {type(data).__name__}, not a map; correct the recipe"
        )
    try:
        recipe = Recipe.model_validate({"name": file.stem, **data})
    except ValidationError as error:
        # report a misspelt key rather than the missing one that it was meant to be
        first = max(error.errors(), key=lambda e: e["type"] == "extra_forbidden")
        key = ".".join(map(str, first["loc"]))
        raise EngineInputError(
            f"{file}: {key}: {first['msg'].lower()}, found {first['input']!r}; correct the recipe"
        ) from None
    if recipe.precision == "int8" and recipe.quantization is None:
        raise EngineInputError(f"{file}: quantization: missing, precision int8 needs it; add it")
    return recipe
