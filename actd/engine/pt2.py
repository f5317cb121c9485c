"""Check that a torch.export archive is safe to load.

torch.export.load unpickles, compiles or evaluates parts of an archive that an exported policy does
not contain: pickled tensors and objects, compiled libraries, symbolic expressions, guards. An
archive with any of these, or that calls anything but torch's own operators, is an EngineError.
Reads the file, executes nothing.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from actd.errors import EngineError

# Everything below the archive's one top folder.
_ALLOWED = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|models/model\.json"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt"
)
_OPERATORS = "torch.ops.aten."


def check_archive(file: Path) -> None:
    """Raise EngineError unless loading `file` can only make tensors and torch's operators."""
    try:
        with zipfile.ZipFile(file) as archive:
            problem = _problem(archive)
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        problem = f"not a torch.export archive ({error})"
    if problem:
        raise EngineError(f"{file}: {problem}; not loaded, export again with torch 2.9 or newer")


def _problem(archive: zipfile.ZipFile) -> str:
    """What makes the archive unsafe to load, empty when nothing does."""
    entries = {name.partition("/")[2]: name for name in archive.namelist()}
    unexpected = [inside for inside in entries if not _ALLOWED.fullmatch(inside)]
    if unexpected or len(entries) != len(archive.namelist()):
        return f"contains {(unexpected or ['a duplicate entry'])[0]}, unlike an exported policy"
    for kind in ("weights", "constants"):
        name = entries[f"data/{kind}/model_{kind}_config.json"]
        for tensor, facts in json.loads(archive.read(name))["config"].items():
            if facts["use_pickle"]:
                return f"{tensor} is pickled"
    model = json.loads(archive.read(entries["models/model.json"]))
    if model.get("guards_code") or model["range_constraints"]:
        return "has guards or symbolic shapes"
    return _unsafe_node(model["graph_module"]) or _pickled_inputs(
        archive.read(entries["data/sample_inputs/model.pt"])
    )


def _unsafe_node(part: Any) -> str:
    """The first call of anything but torch's operators, or expression to evaluate; else empty."""
    if isinstance(part, dict):
        target = part.get("target", _OPERATORS)
        if "expr_str" in part or not str(target).startswith(_OPERATORS):
            return f"has {str(part.get('expr_str', target))[:60]!r} in its graph"
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return next(filter(None, map(_unsafe_node, children)), "")


def _pickled_inputs(data: bytes) -> str:
    """What is wrong with the sample inputs, empty if they are plain tensors."""
    import torch

    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception as error:  # noqa: BLE001  torch raises what its unpickler and zip reader do
        return f"its sample inputs are not plain tensors ({str(error).splitlines()[0][:80]})"
    return ""
