"""Two engines on the same recorded frames: how far apart are their actions?

Reads a dataset and two engine folders; gives differences per joint, over the chunk and
after temporal ensembling, and each engine's distance from the recorded actions. Raises
RecordingError where dataset and engines do not fit, EngineError for an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings
from actd.datasets.paths import ACTION
from actd.datasets.reader import Dataset
from actd.engine.base import Engine
from actd.engine.load import load_engine
from actd.errors import RecordingError
from actd.evaluation.compatibility import check_compatible

Vector = NDArray[np.float64]

_ACT_COEFF = 0.01


class Spread(NamedTuple):
    """Absolute differences per joint, each (joints,), in physical units."""

    mean: Vector
    p99: Vector
    max: Vector


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two engines gave for the same observations.

    `chunk`: difference over all rows of all chunks; `ensembled`: after temporal ensembling
    over consecutive frames; `by_step`: mean difference of each row of a chunk, over joints in
    units of `joint_std` (chunk,); `recorded`: per engine the mean distance from the recorded
    actions (joints,). `joint_std` is that of the recorded actions, NaN where they never move.
    """

    engines: tuple[str, str]
    joints: tuple[str, ...]
    episodes: tuple[int, ...]
    samples: int
    consecutive: int
    joint_std: Vector
    chunk: Spread
    ensembled: Spread
    by_step: Vector
    recorded: tuple[Vector, Vector]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; None where a joint has no std."""

        def per_joint(values: Vector) -> dict[str, float | None]:
            return {
                joint: None if np.isnan(value) else float(value)
                for joint, value in zip(self.joints, values, strict=True)
            }

        def spread(found: Spread) -> dict[str, Any]:
            return {
                **{name: per_joint(values) for name, values in found._asdict().items()},
                "mean_std": per_joint(found.mean / self.joint_std),
                "max_std": per_joint(found.max / self.joint_std),
            }

        return {
            "engines": list(self.engines),
            "episodes": list(self.episodes),
            "samples": self.samples,
            "consecutive": self.consecutive,
            "joint_std": per_joint(self.joint_std),
            "difference": spread(self.chunk),
            "difference_ensembled": spread(self.ensembled),
            "difference_by_step_std": self.by_step.tolist(),
            "l1_to_recorded": {
                engine: per_joint(values)
                for engine, values in zip(self.engines, self.recorded, strict=True)
            },
        }


def compare_engines(
    dataset: Dataset,
    folders: Sequence[Path],
    *,
    episodes: Sequence[int] | None = None,
    samples: int = 50,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Run both engines on frames spread evenly over the episodes (default: all of them), and
    on as many consecutive ones from the middle of the longest. `progress` takes inferences.
    """
    chosen = tuple(dataset.episodes if episodes is None else episodes)
    lengths = {episode: dataset.length(episode) for episode in chosen}
    if len(folders) != 2 or not sum(lengths.values()):
        raise RecordingError(
            f"{dataset.root}: give two engine folders and at least one episode with rows, "
            f"found {len(folders)} and {sum(lengths.values())} rows"
        )
    spread_rows, run_rows = _spread(lengths, samples), _run(lengths, samples)
    total = 2 * (len(spread_rows) + len(run_rows))
    with ExitStack() as stack:
        engines = [stack.enter_context(closing(load_engine(folder))) for folder in folders]
        for engine, folder in zip(engines, folders, strict=True):
            check_compatible(dataset, engine.spec, str(folder))
        inferences = _Inferences(dataset, engines, lambda done: progress(done, total))
        chunks, consecutive = inferences.at(spread_rows), inferences.at(run_rows)
        coeff = engines[0].spec.temporal_ensemble_coeff
    recorded = {episode: dataset.actions(episode).astype(np.float64) for episode in chosen}
    first, second = (_ensemble(part, dataset.fps, coeff) for part in consecutive)
    std = np.concatenate(list(recorded.values())).std(axis=0)
    joint_std = np.where(std > 0, std, np.nan)
    difference = np.abs(chunks[0] - chunks[1])
    near = tuple(_distance(part, spread_rows, recorded) for part in chunks)
    return Comparison(
        engines=(str(folders[0]), str(folders[1])),
        joints=tuple(dataset.names(ACTION)),
        episodes=chosen,
        samples=len(spread_rows),
        consecutive=len(run_rows),
        joint_std=joint_std,
        chunk=_spread_of(difference.reshape(-1, difference.shape[-1])),
        ensembled=_spread_of(np.abs(first - second)),
        by_step=np.nanmean(difference / joint_std, axis=(0, 2)),
        recorded=(near[0], near[1]),
    )


class _Inferences:
    """Chunks of both engines for chosen rows, each (2, rows, steps, joints)."""

    def __init__(
        self,
        dataset: Dataset,
        engines: Sequence[Engine],
        progress: Callable[[int], None],
    ) -> None:
        self._dataset = dataset
        self._engines = engines
        self._steps = min(engine.spec.chunk_size for engine in engines)
        self._progress = progress
        self._done = 0

    def at(self, rows: Sequence[tuple[int, int]]) -> Vector:
        chunks: list[list[NDArray[np.float32]]] = []
        for frame in self._frames(rows):
            pair = []
            for engine in self._engines:
                inputs = {feature.key: frame[feature.key] for feature in engine.spec.inputs}
                pair.append(engine.infer(inputs)[: self._steps])
                self._done += 1
                self._progress(self._done)
            chunks.append(pair)
        by_engine: Vector = np.array(chunks, dtype=np.float64).swapaxes(0, 1)
        return by_engine

    def _frames(self, rows: Sequence[tuple[int, int]]) -> Iterator[Mapping[str, NDArray[Any]]]:
        for episode in dict.fromkeys(episode for episode, _ in rows):
            yield from self._dataset.frames(episode, [row for e, row in rows if e == episode])


def _spread(lengths: Mapping[int, int], samples: int) -> list[tuple[int, int]]:
    """Episode and row of `samples` moments, evenly over all episodes in a row."""
    every = [(episode, row) for episode, length in lengths.items() for row in range(length)]
    count = min(samples, len(every))
    return [every[int(place)] for place in np.linspace(0, len(every) - 1, count)]


def _run(lengths: Mapping[int, int], samples: int) -> list[tuple[int, int]]:
    """Consecutive rows from the middle of the longest episode."""
    episode = max(lengths, key=lambda number: lengths[number])
    count = min(samples, lengths[episode])
    start = (lengths[episode] - count) // 2
    return [(episode, row) for row in range(start, start + count)]


def _ensemble(chunks: Vector, fps: float, coeff: float | None) -> Vector:
    """What temporal ensembling commands at each of consecutive observations, (rows, joints)."""
    rows, steps, joints = chunks.shape
    settings = ChunkSettings(
        mode="temporal",
        policy_hz=fps,
        chunk_size=steps,
        action_dim=joints,
        n_action_steps=steps,
        temporal_coeff=_ACT_COEFF if coeff is None else coeff,
    )
    buffer = ChunkBuffer(settings)
    actions = np.empty((rows, joints))
    for row, chunk in enumerate(chunks.astype(np.float32)):
        t_ns = round(row * 1e9 / fps)
        buffer.add(ActionChunk(row + 1, t_ns, chunk))
        sample = buffer.at(t_ns)
        actions[row] = chunk[0] if sample is None else sample.action
    return actions


def _distance(
    chunks: Vector, rows: Sequence[tuple[int, int]], recorded: Mapping[int, Vector]
) -> Vector:
    """Mean |chunk - what was recorded at that time| per joint, within the episode."""
    apart = []
    for chunk, (episode, row) in zip(chunks, rows, strict=True):
        truth = recorded[episode][row : row + len(chunk)]
        apart.append(np.abs(chunk[: len(truth)] - truth))
    mean: Vector = np.concatenate(apart).mean(axis=0)
    return mean


def _spread_of(differences: Vector) -> Spread:
    return Spread(
        mean=differences.mean(axis=0),
        p99=np.quantile(differences, 0.99, axis=0),
        max=differences.max(axis=0),
    )
