"""The result of an evaluation, computed from the chunks of every engine.

Pure: runs in, an Evaluation out. Both the chunks themselves and what the arm would execute (the
temporal ensemble at every tick) are compared with the recorded actions (L1 and L2, as in training)
and with torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.chunks import DEFAULT_COEFF
from actd.control.ensembling import ensemble
from actd.datasets.paths import ACTION
from actd.datasets.reader import Dataset
from actd.engine.acceptance import AddedError, tolerance_excess
from actd.engine.candidate import Candidate
from actd.engine.distance import Distance, distance, targets
from actd.engine.verify import Parity, compare
from actd.evaluation.candidates import EvalCandidates
from actd.evaluation.result_cache import EpisodeRun
from actd.export.parity import figures

_TAIL_POINTS = 240


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences from a reference, in chunks and in executed actions.

    `std` (joints,) is the policy's own. `tail`: rising |error| / std over all values, and the
    share of values beyond each, both (n,).
    `added` is what the engine adds to the policy's own error, None if the reference is not torch or
    the recording is of another rate; `excess` says how the recipe's tolerance is exceeded, empty
    if it is not, or if the reference is not torch.
    """

    chunk: Parity
    executed: Parity
    std: Vector
    tail: tuple[Vector, Vector]
    added: AddedError | None = None
    excess: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one engine; `against_first` compares it with the engine named first.

    `plotted_actions` are its executed actions (T, joints) in the plotted episode.
    """

    candidate: Candidate
    chunk: Distance
    executed: Distance
    against_torch: Differences | None
    against_first: Differences | None
    plotted_actions: Vector


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All engines on the same frames. `std` (joints,) normalises; `std_from` names its source.

    `frames` and `ticks` count the evaluated frames and the ticks of each episode.
    `plotted_recording` (T, joints) are the recorded actions of `plotted_episode`.
    """

    dataset: str
    fps: float
    joints: tuple[str, ...]
    stride: int
    coeff: float
    std: Vector
    std_from: str
    frames: Mapping[int, int]
    ticks: Mapping[int, int]
    scores: tuple[Score, ...]
    notes: tuple[str, ...]
    plotted_episode: int
    plotted_recording: Vector

    @property
    def passed(self) -> bool:
        """Whether no engine is further from torch than its recipe allows."""
        return not any(s.against_torch and s.against_torch.excess for s in self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; arrays are left as arrays."""
        return {
            "dataset": self.dataset,
            "fps": self.fps,
            "stride": self.stride,
            "temporal_ensemble_coeff": self.coeff,
            "episodes": {
                number: {"frames": self.frames[number], "ticks": self.ticks[number]}
                for number in self.frames
            },
            "joint_std": dict(zip(self.joints, self.std, strict=True)),
            "joint_std_from": self.std_from,
            "notes": self.notes,
            "passed": self.passed,
            "engines": {score.candidate.name: self._score(score) for score in self.scores},
        }

    def _score(self, score: Score) -> dict[str, Any]:
        return {
            "place": score.candidate.place,
            "chunk": self._distance(score.chunk) | self._by_step(score.chunk),
            "executed": self._distance(score.executed),
            "against_torch": score.against_torch and self._torch(score.against_torch, score),
            "against_first": score.against_first and self._against(score.against_first),
        }

    def _distance(self, distances: Distance) -> dict[str, Any]:
        return {
            "l1": distances.l1.mean(),
            "l2": distances.l2.mean(),
            "l1_std": distances.l1_std(self.std),
            "l2_std": distances.l2_std(self.std),
            "l1_loss_lerobot": distances.lerobot_l1_loss(self.std),
            "steps_counted": distances.steps_counted,
            "steps": distances.steps,
            "per_joint": {
                joint: {"l1": l1, "l2": l2, "l1_std": l1 / std, "l2_std": l2 / std**2}
                for joint, l1, l2, std in zip(
                    self.joints, distances.l1, distances.l2, self.std, strict=True
                )
            },
        }

    def _by_step(self, distances: Distance) -> dict[str, Any]:
        return {
            "by_step": {
                "l1_std": (distances.l1_by_step / self.std).mean(axis=1),
                "l2_std": (distances.l2_by_step / self.std**2).mean(axis=1),
                "l1": dict(zip(self.joints, distances.l1_by_step.T, strict=True)),
                "l2": dict(zip(self.joints, distances.l2_by_step.T, strict=True)),
            }
        }

    def _against(self, differences: Differences) -> dict[str, Any]:
        return {
            "chunk": figures(differences.chunk, self.joints, differences.std),
            "executed": figures(differences.executed, self.joints, differences.std),
        }

    def _torch(self, differences: Differences, score: Score) -> dict[str, Any]:
        tolerance = score.candidate.tolerance
        return {
            **self._against(differences),
            "tolerance": tolerance and tolerance.model_dump(exclude_none=True),
            "added_error": differences.added and asdict(differences.added),
            "passed": not differences.excess,
            "excess": differences.excess or None,
        }


def measure(
    dataset: Dataset, candidates: EvalCandidates, runs: Sequence[EpisodeRun], stride: int
) -> Evaluation:
    """The figures of all candidates over these episodes."""
    std, std_from = _std(candidates.all_candidates[0], runs)
    coeff = candidates.all_candidates[0].spec.temporal_ensemble_coeff
    coeff = DEFAULT_COEFF if coeff is None else coeff
    executed = {c.name: _executed(runs, c.name, coeff) for c in candidates.all_candidates}
    longest = max(range(len(runs)), key=lambda place: len(runs[place].actions))
    scores = []
    for candidate in candidates.all_candidates:
        label = candidate.name
        scores.append(
            Score(
                candidate=candidate,
                chunk=_distance(runs, label),
                executed=_executed_distance(executed[label], runs),
                against_torch=_against_torch(candidate, candidates, runs, executed, dataset.fps),
                against_first=_against_first(candidate, candidates, runs, executed),
                plotted_actions=executed[label][longest],
            )
        )
    return Evaluation(
        dataset=str(dataset.root),
        fps=dataset.fps,
        joints=tuple(dataset.names(ACTION)),
        stride=stride,
        coeff=coeff,
        std=std,
        std_from=std_from,
        frames={run.number: len(run.rows) for run in runs},
        ticks={run.number: len(run.actions) for run in runs},
        scores=tuple(scores),
        notes=(*candidates.notes, *_notes(dataset, candidates, stride)),
        plotted_episode=runs[longest].number,
        plotted_recording=runs[longest].actions.astype(np.float64),
    )


def tail(error: Vector) -> tuple[Vector, Vector]:
    """Ascending values of `error`, and the share of all values beyond each; both (n,)."""
    ascending = np.sort(error, axis=None)
    count = ascending.size
    counts = np.geomspace(count, 1, min(_TAIL_POINTS, count))
    places = np.unique(count - np.round(counts).astype(int))
    return ascending[places], (count - places) / count


def _against_torch(
    candidate: Candidate,
    candidates: EvalCandidates,
    runs: Sequence[EpisodeRun],
    executed: Mapping[str, Sequence[Vector]],
    fps: float,
) -> Differences | None:
    torch = candidates.torch
    if torch is None or candidate is torch or candidate.policy != torch.policy:
        return None
    differences, tolerance = _against(candidate, torch, runs, executed), candidate.tolerance
    added = None
    if not _of_another_rate(candidate, fps):
        policy, engine = (
            _distance(runs, each.name).l1_std(differences.std) for each in (torch, candidate)
        )
        added = AddedError(policy, engine, episodes=len(runs), unseen=False)
    return replace(
        differences,
        added=added,
        excess=tolerance_excess(differences.chunk, tolerance, added) if tolerance else "",
    )


def _against_first(
    candidate: Candidate,
    candidates: EvalCandidates,
    runs: Sequence[EpisodeRun],
    executed: Mapping[str, Sequence[Vector]],
) -> Differences | None:
    first, *others = candidates.engines or (None,)
    if first is None or candidate not in others:
        return None
    if _steps(runs[0], candidate.name) != _steps(runs[0], first.name):
        return None
    return _against(candidate, first, runs, executed)


def _against(
    candidate: Candidate,
    reference: Candidate,
    runs: Sequence[EpisodeRun],
    executed: Mapping[str, Sequence[Vector]],
) -> Differences:
    std, _ = _std(reference, runs)
    actual, expected = _chunks(runs, candidate.name), _chunks(runs, reference.name)
    both = [np.concatenate(executed[each.name]) for each in (candidate, reference)]
    covered = ~np.isnan(both[1]).any(axis=1)
    arm = [part[covered][:, None, :].astype(np.float32) for part in both]
    error = np.abs(actual.astype(np.float64) - expected) / std
    return Differences(
        chunk=compare(actual, expected, std.tolist()),
        executed=compare(arm[0], arm[1], std.tolist()),
        std=std,
        tail=tail(np.where(np.isfinite(error), error, np.inf)),
    )


def _chunks(runs: Sequence[EpisodeRun], label: str) -> NDArray[np.float32]:
    return np.concatenate([run.chunks[label] for run in runs])


def _distance(runs: Sequence[EpisodeRun], label: str) -> Distance:
    """Distance of its chunks from the recorded actions."""
    truth = [targets(r.actions, r.rows.tolist(), _steps(r, label)) for r in runs]
    return distance(_chunks(runs, label), np.concatenate(truth))


def _steps(run: EpisodeRun, label: str) -> int:
    return int(run.chunks[label].shape[1])


def _executed(runs: Sequence[EpisodeRun], label: str, coeff: float) -> list[Vector]:
    """Per episode the actions that would be commanded at every tick, (T, joints)."""
    actions = []
    for run in runs:
        chunks = run.chunks[label]
        finite = np.where(np.isfinite(chunks), chunks, np.inf)
        actions.append(ensemble(finite, coeff, made_at=run.rows, ticks=len(run.actions)))
    return actions


def _executed_distance(executed: Sequence[Vector], runs: Sequence[EpisodeRun]) -> Distance:
    """Distance from the recorded action at every tick that a chunk reaches."""
    actions = np.concatenate(executed)
    recorded = np.concatenate([run.actions for run in runs]).astype(np.float64)
    recorded[np.isnan(actions).any(axis=1)] = np.nan
    return distance(actions[:, None, :], recorded[:, None, :])


def _std(candidate: Candidate, runs: Sequence[EpisodeRun]) -> tuple[Vector, str]:
    """What L1 is divided by in training, and its source; 1 for a joint that never moved."""
    std = np.nanstd(np.concatenate([run.actions for run in runs]), axis=0, dtype=np.float64)
    source = "the recorded actions of these episodes"
    if candidate.action_std is not None:
        std = np.asarray(candidate.action_std, dtype=np.float64)
        source = f"the policy of {candidate.name}"
    return np.where(std > 0, std, 1.0), source


def _of_another_rate(candidate: Candidate, fps: float) -> bool:
    hz = candidate.spec.trained_hz
    return hz is not None and abs(hz - fps) > 0.01


def _notes(dataset: Dataset, candidates: EvalCandidates, stride: int) -> list[str]:
    notes = list(dataset.notes)
    for candidate in candidates.engines:
        spec = candidate.spec
        if _of_another_rate(candidate, dataset.fps):
            notes.append(
                f"{candidate.name}: trained at {spec.trained_hz:g} Hz, the dataset was recorded at "
                f"{dataset.fps:g} Hz: steps of a chunk and of the recording do not coincide"
            )
        if stride > spec.chunk_size:
            notes.append(
                f"{candidate.name}: a chunk of {spec.chunk_size} steps does not reach the next "
                f"frame at stride {stride}: executed figures leave out the ticks between"
            )
    return notes
