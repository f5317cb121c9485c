"""Run engines over the episodes of a dataset and measure the errors of their chunks.

Caches every finished episode (actd.evaluation.result_cache), so that an interrupted run resumes.
Raises UsageError, RecordingError, EngineError.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from actd.datasets.paths import ACTION
from actd.datasets.reader import Dataset
from actd.engine.candidate import OpenCandidate
from actd.errors import RecordingError, UsageError
from actd.evaluation.accuracy import Evaluation, measure
from actd.evaluation.candidates import EvalCandidates
from actd.evaluation.compatibility import check_compatible
from actd.evaluation.result_cache import EpisodeRun, ResultCache, cached_stride

FRAMES = 600
"""The default stride evaluates about this many frames."""

Progress = Callable[[int, int], None]
"""Called with the number of finished frames and the total."""


def choose_episodes(dataset: Dataset, numbers: Sequence[int] | None) -> tuple[int, ...]:
    """The episodes `numbers`, by default all, less empty ones.

    Raises RecordingError for one that does not exist, UsageError if no frame is left.
    """
    episodes = tuple(dataset.episodes if numbers is None else numbers)
    if not sum(dataset.length(episode) for episode in episodes):
        raise UsageError(f"{dataset.root}: no frame in the chosen episodes; choose others")
    return tuple(episode for episode in episodes if dataset.length(episode))


def choose_stride(
    dataset: Dataset, episodes: Sequence[int], out: Path, *, fresh: bool = False
) -> int:
    """The stride of the results already in `out`, else one that leaves about `FRAMES` frames."""
    total = sum(dataset.length(episode) for episode in episodes)
    stride = None if fresh else cached_stride(out)
    return stride or max(1, -(-total // FRAMES))


def evaluate(
    dataset: Dataset,
    candidates: EvalCandidates,
    out: Path,
    *,
    episodes: Sequence[int],
    stride: int,
    fresh: bool = False,
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Run all candidates on every `stride`-th frame of `episodes`, except those cached in `out`."""
    for candidate in candidates.all_candidates:
        check_compatible(dataset, candidate.spec, candidate.place, episodes[0])
    cache = ResultCache(out, _settings(dataset, candidates, stride))
    if fresh:
        cache.clear()
    cache.check()
    fingerprints = {episode: dataset.fingerprint(episode) for episode in episodes}
    missing_rows = {
        episode: range(0, dataset.length(episode), stride)
        for episode, fingerprint in fingerprints.items()
        if not cache.has(episode, fingerprint)
    }
    if missing_rows:
        _run(dataset, candidates, cache, missing_rows, fingerprints, progress)
    return measure(dataset, candidates, [cache.read(episode) for episode in episodes], stride)


def _run(  # noqa: PLR0917
    dataset: Dataset,
    candidates: EvalCandidates,
    cache: ResultCache,
    rows: Mapping[int, range],
    fingerprints: Mapping[int, str],
    progress: Progress,
) -> None:
    """Run all candidates on the frames `rows` of each episode, and cache their chunks."""
    total, done = sum(map(len, rows.values())), 0
    with ExitStack() as stack:
        runners = {
            c.name: stack.enter_context(closing(c.open())) for c in candidates.all_candidates
        }
        keys = {
            c.name: [feature.key for feature in c.spec.inputs] for c in candidates.all_candidates
        }
        for episode, episode_rows in rows.items():
            chunks: dict[str, list[Any]] = {label: [] for label in runners}
            for frame in dataset.frames(episode, episode_rows):
                for label, runner in runners.items():
                    chunks[label].append(_answer(runner, frame, keys[label], dataset, episode))
                done += 1
                progress(done, total)
            stacked = {label: np.stack(parts) for label, parts in chunks.items()}
            actions = dataset.actions(episode)
            cache.write(
                EpisodeRun(episode, fingerprints[episode], np.array(episode_rows), actions, stacked)
            )


def _answer(
    runner: OpenCandidate, frame: Any, keys: Sequence[str], dataset: Dataset, episode: int
) -> Any:
    observation = {key: frame[key] for key in keys}
    for key, values in observation.items():
        if not np.isfinite(values).all():
            raise RecordingError(
                f"{dataset.root}: episode {episode}: {key}: a value that is not finite; "
                "choose --episodes without it"
            )
    return runner.infer(observation)


def _settings(dataset: Dataset, candidates: EvalCandidates, stride: int) -> dict[str, Any]:
    """Everything that an engine's chunks for an episode depend on, as plain JSON data."""
    shape = {"fps": dataset.fps, "features": dataset.features, "action": dataset.names(ACTION)}
    text = json.dumps(shape, sort_keys=True, default=str)
    return {
        "dataset": f"{dataset.root.resolve().name} {hashlib.sha256(text.encode()).hexdigest()[:8]}",
        "stride": stride,
        "engines": {c.name: c.identity for c in candidates.all_candidates},
    }
