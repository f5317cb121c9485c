"""LeRobot 0.1 to 0.3.3: today's config.json, statistics as buffers among the weights.

Raises CheckpointError when neither buffers nor a preprocessor say how to normalise.
"""

from __future__ import annotations

from actd.policy.config import read_spec
from actd.policy.files import read_json, refusal
from actd.policy.formats.base import CheckpointFormat, Stored, lerobot_tensors, lerobot_weights
from actd.policy.formats.buffers import has_buffers, read_buffers
from actd.policy.formats.lerobot_0_4 import PREPROCESSOR
from actd.policy.locate import Place
from actd.policy.normalization import filled, known_mode
from actd.policy.overrides import STATISTICS_OPTION, Overrides

_MAPPING = "normalization_mapping"


def _detect(place: Place) -> str | None:
    if place.is_original or (place.folder / PREPROCESSOR).is_file():
        return None
    return f"statistics among the weights, no {PREPROCESSOR}"


def _read(place: Place, overrides: Overrides) -> Stored:
    file, data = place.main, read_json(place.main)
    spec, notes = read_spec(data, file)
    tensors = lerobot_tensors(place)
    if not has_buffers(tensors):
        problem = f"missing, and no statistics in {tensors.path.name} either"
        remedy = "actions would be un-normalised; copy the whole checkpoint folder"
        raise refusal(place.folder / PREPROCESSOR, "file", problem, remedy)
    mapping = data.get(_MAPPING)
    if not isinstance(mapping, dict):
        problem = "missing" if mapping is None else f"a {type(mapping).__name__}"
        raise refusal(file, _MAPPING, problem, "need a mode for each type of feature")
    modes, silent = filled(
        {
            f.key: known_mode(file, f"{_MAPPING}.{f.kind}", mapping.get(f.kind))
            for f in (*spec.inputs, spec.action)
        },
        file,
    )
    return Stored(
        folder=place.folder,
        spec=spec,
        normalization=read_buffers(tensors, spec, modes, overrides),
        weights=lerobot_weights(tensors),
        notes=notes + silent,
    )


FORMAT = CheckpointFormat("lerobot-0.1", "LeRobot 0.1 to 0.3", _detect, _read, (STATISTICS_OPTION,))
