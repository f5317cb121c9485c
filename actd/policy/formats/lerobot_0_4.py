"""LeRobot 0.4 and newer: normalisation in processor pipelines beside the weights.

Owns policy_preprocessor.json, policy_postprocessor.json and the statistics files
they name. Steps are found by their registered name, never by position, and a file by
its `state_file`. A feature that would pass un-normalised although its mode asks for
statistics is refused: an arm would flail, silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actd.element_names import unsupported
from actd.errors import UsageError
from actd.policy.config import read_spec
from actd.policy.files import TensorFile, open_tensors, read_json, refusal
from actd.policy.formats.base import (
    STATISTICS_PREFIXES,
    CheckpointFormat,
    Stored,
    lerobot_tensors,
    lerobot_weights,
    plain_name,
    supplied,
)
from actd.policy.formats.state_file import StoredStatistics
from actd.policy.locate import Place
from actd.policy.normalization import EPS, Normalization, Statistics, filled, known_mode
from actd.policy.overrides import STATISTICS_OPTION, Overrides
from actd.policy.spec import Feature, PolicySpec

PREPROCESSOR = "policy_preprocessor.json"
POSTPROCESSOR = "policy_postprocessor.json"

# Steps that leave the values of a single float32 observation as they are.
_NEUTRAL_STEPS = ("to_batch_processor", "device_processor")
# Those that LeRobot leaves in a pipeline where they are switched off.
_SWITCHED_STEPS = ("relative_actions_processor", "absolute_actions_processor")
_RENAME = "rename_observations_processor"


def _detect(place: Place) -> str | None:
    if place.is_original or not (place.folder / PREPROCESSOR).is_file():
        return None
    return f"has {PREPROCESSOR}"


def _read(place: Place, overrides: Overrides) -> Stored:
    trained, notes = read_spec(read_json(place.main), place.main)
    tensors = lerobot_tensors(place)
    _refuse_buffers(tensors)
    normalization, more, files = _read_normalization(place.folder, trained, overrides)
    return Stored(
        folder=place.folder,
        spec=supplied(trained, normalization.renamed),
        normalization=normalization,
        weights=lerobot_weights(tensors),
        notes=notes + more,
        files=files,
    )


def _refuse_buffers(tensors: TensorFile) -> None:
    for key in tensors.shapes:
        if plain_name(key).startswith(STATISTICS_PREFIXES):
            problem = f"statistics of LeRobot before 0.4 beside {PREPROCESSOR}"
            remedy = "two truths; keep the files of one checkpoint only"
            raise refusal(tensors.path, key, problem, remedy)


def _read_normalization(
    folder: Path, spec: PolicySpec, overrides: Overrides
) -> tuple[Normalization, tuple[str, ...], tuple[str, ...]]:
    """Both pipelines of the checkpoint in `folder`, notes, and the files they are in.

    Raises CheckpointError.
    """
    pre, rename = _steps(folder / PREPROCESSOR, "normalizer_processor")
    post, _ = _steps(folder / POSTPROCESSOR, "unnormalizer_processor")
    modes: dict[str, str] = {}
    statistics: dict[str, Statistics] = {}
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    scoped: set[str] = set()
    sides = ((PREPROCESSOR, pre, spec.inputs), (POSTPROCESSOR, post, (spec.action,)))
    for name, step, features in sides:
        file = folder / name
        said, silent = filled({f.key: _mode(file, step, f) for f in features}, file)
        modes |= said
        notes += silent
        state = _state(file, step)
        files += (name, state.path.name)
        stored = StoredStatistics(state, features, overrides.statistics)
        for feature in features:
            statistics[feature.key] = stored.of(feature, said[feature.key])
        notes += stored.notes
        scoped |= stored.datasets
    if overrides.statistics is not None and not scoped:
        raise UsageError(
            f"{STATISTICS_OPTION}: the statistics of {folder} bear no dataset's name; "
            "leave the option out"
        )
    renamed = _renamed(folder / PREPROCESSOR, rename, spec)
    normalization = Normalization(
        modes={renamed.get(k, k): v for k, v in modes.items()},
        statistics={renamed.get(k, k): v for k, v in statistics.items()},
        eps=_eps(folder / PREPROCESSOR, pre),
        renamed=renamed,
    )
    notes += tuple(
        f"{folder / PREPROCESSOR}: rename_map: {ours} is given to the policy as {trained}"
        for trained, ours in renamed.items()
    )
    return normalization, notes, files


def _steps(file: Path, kind: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The (un)normalizer step of a pipeline file and its rename map."""
    steps = read_json(file).get("steps")
    if not isinstance(steps, list) or not all(isinstance(s, dict) for s in steps):
        raise refusal(file, "steps", f"{type(steps).__name__}", "need a list of steps")
    normalizer: dict[str, Any] | None = None
    rename: dict[str, str] = {}
    for step in steps:
        name = step.get("registry_name") or step.get("class")
        if name == kind:
            if normalizer is not None:
                raise refusal(file, "steps", f"{kind} twice", "actd can run it only once")
            normalizer = step
        elif name == _RENAME:
            rename |= _rename_map(file, step)
        elif name in _SWITCHED_STEPS:
            if _config(step).get("enabled", False) is not False:
                raise refusal(file, "steps", f"step {name!r}", unsupported("relative actions"))
        elif name not in _NEUTRAL_STEPS:
            remedy = "actd cannot run it; export without this step"
            raise refusal(file, "steps", f"step {name!r}", remedy)
    if normalizer is None:
        remedy = "actions would be un-normalised; save it again"
        raise refusal(file, "steps", f"no {kind}", remedy)
    return normalizer, rename


def _rename_map(file: Path, step: Mapping[str, Any]) -> dict[str, str]:
    given = _config(step).get("rename_map") or {}
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        raise refusal(file, "rename_map", f"{given!r:.60}", "need a map of names to names")
    return given


def _config(step: Mapping[str, Any]) -> Mapping[str, Any]:
    config = step.get("config")
    return config if isinstance(config, dict) else {}


def _eps(file: Path, step: Mapping[str, Any]) -> float:
    eps = _config(step).get("eps", EPS)
    if not isinstance(eps, (int, float)) or not 0 <= eps < 1:
        raise refusal(file, "eps", f"{eps!r:.60}", "need a small number, such as 1e-8")
    return float(eps)


def _state(file: Path, step: Mapping[str, Any]) -> TensorFile:
    """The step's state file; without one, no tensors under the pipeline's own name."""
    name = step.get("state_file")
    if name is None:
        return TensorFile(file, {})
    if not isinstance(name, str) or Path(name).name != name:
        raise refusal(file, "state_file", f"{name!r}", "need the name of a file in this folder")
    return open_tensors(file.parent / name, "copy the statistics file beside the pipeline file")


def _mode(file: Path, step: Mapping[str, Any], feature: Feature) -> str | None:
    config = _config(step)
    only = config.get("normalize_observation_keys")
    if only is not None and not isinstance(only, list):
        raise refusal(file, "normalize_observation_keys", f"{only!r:.60}", "need a list of names")
    if only is not None and feature.kind != "ACTION" and feature.key not in only:
        return "IDENTITY"
    mapping = config.get("norm_map")
    if not isinstance(mapping, dict):
        problem = "missing" if mapping is None else f"a {type(mapping).__name__}"
        raise refusal(file, "norm_map", problem, "need a mode for each type of feature")
    return known_mode(file, f"norm_map.{feature.kind}", mapping.get(feature.kind))


def _renamed(file: Path, rename: Mapping[str, str], spec: PolicySpec) -> dict[str, str]:
    """Trained name -> supplied name, from the pipeline's supplied -> trained map."""
    trained = {f.key for f in spec.inputs}
    renamed = {to: ours for ours, to in rename.items() if to in trained}
    names = [renamed.get(key, key) for key in trained]
    if len(set(names)) != len(names) or len(set(rename.values())) != len(rename):
        raise refusal(file, "rename_map", f"{dict(rename)}", "two inputs would share one name")
    return renamed


FORMAT = CheckpointFormat(
    "lerobot-0.4", "LeRobot 0.4 or newer", _detect, _read, (STATISTICS_OPTION,)
)
