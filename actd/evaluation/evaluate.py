"""Run engines over the episodes of a dataset and measure their answers.

Keeps every finished episode (actd.evaluation.result_cache), so that an interrupted run goes on.
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
from actd.evaluation.result_cache import EpisodeRun, Kept, cached_stride

FRAMES = 600
"""Without a stride, one is chosen so that about this many frames are answered."""

Progress = Callable[[int, int], None]
"""Told how many frames of how many are answered."""


def choose_episodes(dataset: Dataset, asked: Sequence[int] | None) -> tuple[int, ...]:
    """The episodes asked for, by default all. Raises RecordingError for one that is not there."""
    chosen = tuple(dataset.episodes if asked is None else asked)
    if not sum(dataset.length(episode) for episode in chosen):
        raise UsageError(f"{dataset.root}: no frame in the episodes chosen: choose others")
    return tuple(episode for episode in chosen if dataset.length(episode))


def choose_stride(
    dataset: Dataset, episodes: Sequence[int], out: Path, *, fresh: bool = False
) -> int:
    """The stride of what is kept in `out` already, else one that leaves about `FRAMES` frames."""
    total = sum(dataset.length(episode) for episode in episodes)
    kept = None if fresh else cached_stride(out)
    return kept or max(1, -(-total // FRAMES))


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
    """Run everyone on every `stride`-th frame of `episodes`; finished ones in `out` are kept."""
    for candidate in candidates.everyone:
        check_compatible(dataset, candidate.spec, candidate.place, episodes[0])
    kept = Kept(out, _settings(dataset, candidates, stride))
    if fresh:
        kept.clear()
    kept.check()
    recordings = {episode: dataset.fingerprint(episode) for episode in episodes}
    missing = {
        episode: range(0, dataset.length(episode), stride)
        for episode, recording in recordings.items()
        if not kept.has(episode, recording)
    }
    if missing:
        _run(dataset, candidates, kept, missing, recordings, progress)
    return measure(dataset, candidates, [kept.read(episode) for episode in episodes], stride)


def _run(  # noqa: PLR0917
    dataset: Dataset,
    candidates: EvalCandidates,
    kept: Kept,
    rows: Mapping[int, range],
    recordings: Mapping[int, str],
    progress: Progress,
) -> None:
    """Answer the frames `rows` of each episode, and keep the answers."""
    total, done = sum(map(len, rows.values())), 0
    with ExitStack() as stack:
        runners = {c.name: stack.enter_context(closing(c.open())) for c in candidates.everyone}
        keys = {c.name: [feature.key for feature in c.spec.inputs] for c in candidates.everyone}
        for episode, chosen in rows.items():
            chunks: dict[str, list[Any]] = {label: [] for label in runners}
            for frame in dataset.frames(episode, chosen):
                for label, runner in runners.items():
                    chunks[label].append(_answer(runner, frame, keys[label], dataset, episode))
                done += 1
                progress(done, total)
            answered = {label: np.stack(given) for label, given in chunks.items()}
            actions = dataset.actions(episode)
            kept.write(
                EpisodeRun(episode, recordings[episode], np.array(chosen), actions, answered)
            )


def _answer(
    engine: OpenCandidate, frame: Any, keys: Sequence[str], dataset: Dataset, episode: int
) -> Any:
    observation = {key: frame[key] for key in keys}
    for key, values in observation.items():
        if not np.isfinite(values).all():
            raise RecordingError(
                f"{dataset.root}: episode {episode}: {key}: a value that is not finite: "
                "choose --episodes without it"
            )
    return engine.infer(observation)


def _settings(dataset: Dataset, candidates: EvalCandidates, stride: int) -> dict[str, Any]:
    """Everything that an engine's answers to an episode depend on, as plain JSON data."""
    shape = {"fps": dataset.fps, "features": dataset.features, "action": dataset.names(ACTION)}
    text = json.dumps(shape, sort_keys=True, default=str)
    return {
        "dataset": f"{dataset.root.resolve().name} {hashlib.sha256(text.encode()).hexdigest()[:8]}",
        "stride": stride,
        "engines": {c.name: c.identity for c in candidates.everyone},
    }
