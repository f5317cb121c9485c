"""Engines on a recording: every figure against one computed by hand, and going on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from actd.control.chunks import ensemble_weights
from actd.datasets import Dataset, Form
from actd.engine.load import load_engine
from actd.engine.manifest import read_manifest
from actd.errors import CheckpointError, RecordingError, UsageError
from actd.evaluation import evaluate as verdict
from actd.evaluation.accuracy import Evaluation, tail
from actd.evaluation.accuracy_table import first_rows, summary_row
from actd.evaluation.candidates import EvalCandidates, eval_candidates
from actd.evaluation.evaluate import evaluate
from actd.export.export import export_checkpoint
from actd.policy.checkpoint import load_checkpoint
from actd.policy.network import Policy
from actd.policy.untrained import write_untrained
from tests.evaluation.conftest import CAMERAS, JOINTS, VECTORS, write_dataset

NOWHERE = Path("nowhere")
Altered = Callable[[str, str, str], Path]


@pytest.fixture(scope="module")
def candidates(exported_engine: Path) -> EvalCandidates:
    return eval_candidates([str(exported_engine)], NOWHERE)


@pytest.fixture(scope="module")
def found(
    dataset: Dataset, candidates: EvalCandidates, tmp_path_factory: pytest.TempPathFactory
) -> Evaluation:
    out = tmp_path_factory.mktemp("eval")
    return evaluate(dataset, candidates, out, episodes=[0, 1], stride=3)


def answers(dataset: Dataset, engine: Path | Policy, episode: int, stride: int) -> np.ndarray:
    runner = engine if isinstance(engine, Policy) else load_engine(engine)
    keys = [feature.key for feature in runner.spec.inputs]
    rows = range(0, dataset.length(episode), stride)
    frames = dataset.frames(episode, rows)
    return np.array([runner.infer({key: frame[key] for key in keys}) for frame in frames])


def test_distances_from_the_recording_by_hand(
    dataset: Dataset, exported_engine: Path, found: Evaluation
) -> None:
    total, squares, count = np.zeros(14), np.zeros(14), 0
    first_step: list[np.ndarray] = []
    for episode in (0, 1):
        recorded = dataset.actions(episode).astype(np.float64)
        for place, chunk in enumerate(answers(dataset, exported_engine, episode, 3)):
            row = 3 * place
            apart = np.abs(chunk[: len(recorded) - row] - recorded[row : row + len(chunk)])
            total, squares, count = (
                total + apart.sum(0),
                squares + (apart**2).sum(0),
                count + len(apart),
            )
            first_step.append(apart[0])
    score = found.scores[0]
    assert score.candidate.name == "ort-fp32"
    assert score.chunk.l1 == pytest.approx(total / count)
    assert score.chunk.l2 == pytest.approx(squares / count)
    assert score.chunk.l1_by_step[0] == pytest.approx(np.mean(first_step, axis=0))
    assert score.chunk.steps_counted == count
    # no episode is longer than 30 rows, and a chunk has 50 steps
    assert np.isnan(score.chunk.l1_by_step[30:]).all()
    assert found.std == pytest.approx(np.full(14, 0.2))
    assert score.chunk.l1_std(found.std) == pytest.approx((total / count / 0.2).mean())
    assert found.frames == {0: 3, 1: 10}
    assert found.ticks == {0: 8, 1: 30}


def test_what_the_arm_would_execute_by_hand(
    dataset: Dataset, exported_engine: Path, found: Evaluation
) -> None:
    apart = []
    for episode in (0, 1):
        chunks = answers(dataset, exported_engine, episode, 3)
        recorded = dataset.actions(episode)
        for tick in range(len(recorded)):
            made = [place for place in range(len(chunks)) if 3 * place <= tick < 3 * place + 50]
            weights = ensemble_weights(found.coeff, 3.0 * (np.array(made) - made[0]))
            # A frame every three ticks: a chunk is faded in and out over two of them.
            edges = [min(tick - 3 * p, 50 - (tick - 3 * p)) for p in made]
            weights = weights * [min(1.0, max(edge, 1e-6) / 2) for edge in edges]
            weights = weights / weights.sum()
            told = sum(w * chunks[p, tick - 3 * p] for w, p in zip(weights, made, strict=True))
            apart.append(np.abs(told - recorded[tick]))
    score = found.scores[0]
    assert score.executed.l1 == pytest.approx(np.mean(apart, axis=0))
    assert score.executed.steps_counted == score.executed.steps == 38
    assert found.plotted_episode == 1
    assert score.plotted_actions.shape == found.plotted_recording.shape == (30, 14)
    assert np.abs(score.plotted_actions - found.plotted_recording)[5] == pytest.approx(apart[8 + 5])


def test_errors_against_torch_by_hand(
    dataset: Dataset, small_checkpoint: Path, exported_engine: Path, found: Evaluation
) -> None:
    policy = Policy(load_checkpoint(small_checkpoint))
    apart = np.concatenate(
        [
            answers(dataset, exported_engine, e, 3).astype(float) - answers(dataset, policy, e, 3)
            for e in (0, 1)
        ]
    )
    against = found.scores[0].against_torch
    assert against is not None
    assert [j.max for j in against.chunk.per_joint] == pytest.approx(
        np.abs(apart).max(axis=(0, 1)), rel=1e-3
    )
    assert against.chunk.max_std == pytest.approx(np.abs(apart).max() / 0.2, rel=1e-3)
    assert against.executed.max_std <= against.chunk.max_std * (1 + 1e-6)
    assert found.passed
    torch = found.scores[1]
    assert torch.candidate.name == "torch"
    assert torch.against_torch is None
    assert torch.chunk.l1 == pytest.approx(found.scores[0].chunk.l1, rel=1e-4)


def test_the_tail_counts_every_value() -> None:
    values, share = tail(np.array([[3.0, 1.0], [2.0, 2.0]]))
    assert values[0] == 1.0
    for value, part in zip(values, share, strict=True):
        assert part <= np.mean(np.array([3, 1, 2, 2]) >= value)
    assert (np.diff(share) < 0).all()


def test_an_engine_beyond_its_tolerance_fails(
    dataset: Dataset, exported_engine: Path, altered: Altered, tmp_path: Path
) -> None:
    allowed = read_manifest(exported_engine).recipe.tolerance.max_std
    strict = altered("strict", f'"max_std": {allowed}', '"max_std": 1e-12')
    found = evaluate(
        dataset, eval_candidates([str(strict)], NOWHERE), tmp_path, episodes=[0], stride=4
    )
    assert not found.passed
    against = found.scores[0].against_torch
    assert against is not None
    assert "allowed 1e-12" in against.excess


def test_a_coarse_engine_is_judged_by_the_policys_own_error(
    dataset: Dataset, exported_engine: Path, altered: Altered, tmp_path: Path
) -> None:
    fixed = read_manifest(exported_engine).recipe.tolerance.p99_std
    coarse = altered(
        "coarse",
        f'"p99_std": {fixed},\n      "added_error": null',
        '"p99_std": 1e-12,\n      "added_error": 0.02',
    )
    found = evaluate(
        dataset, eval_candidates([str(coarse)], NOWHERE), tmp_path, episodes=[0], stride=4
    )
    assert found.passed
    against, name = found.scores[0].against_torch, found.scores[0].candidate.name
    assert against is not None
    assert against.added is not None
    distances = {score.candidate.name: score.chunk.l1_std(found.std) for score in found.scores}
    assert against.added.policy == pytest.approx(distances["torch"])
    assert against.added.engine == pytest.approx(distances[name])
    written = found.to_dict()["engines"][name]["against_torch"]
    assert written["added_error"]["engine"] == against.added.engine
    assert "added 0.0 of 2 %" in summary_row(found, found.scores[0])[-1]


def test_other_weights_are_not_compared_with_torch(
    dataset: Dataset, exported_engine: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    other = write_untrained(
        tmp_path / "other",
        cameras={"cam_high": (96, 128), "cam_low": (96, 128)},
        action_dim=14,
        state_dim=14,
        chunk_size=20,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        action_std=[0.2] * 14,
        seed=2,
    )
    (engine,) = export_checkpoint(other, tmp_path / "engines", ["ort-fp32"])
    both = eval_candidates([str(exported_engine), str(engine.folder)], NOWHERE, small_checkpoint)
    labels = [candidate.name for candidate in both.all_candidates]
    assert labels == [str(exported_engine), str(engine.folder), "torch"]
    assert "other weights" in both.notes[0]
    found = evaluate(dataset, both, tmp_path / "out", episodes=[0], stride=4)
    assert [score.against_torch is None for score in found.scores] == [False, True, True]
    assert [len(score.chunk.l1_by_step) for score in found.scores] == [50, 20, 50]
    assert found.to_dict()["engines"][labels[1]]["against_torch"] is None


def test_two_engines_are_compared_with_each_other_too(
    dataset: Dataset,
    exported_engine: Path,
    altered: Callable[[str, str, str], Path],
    tmp_path: Path,
) -> None:
    """Also without torch, and as far apart as they are."""
    twin = altered("twin", '"engine": "ort-fp32"', '"engine": "twin"')
    both = eval_candidates([str(exported_engine), str(twin)], NOWHERE, with_torch=False)
    found = evaluate(dataset, both, tmp_path / "out", episodes=[0], stride=4)
    first, second = found.scores
    assert first.against_first is None
    assert second.against_first is not None
    assert second.against_first.chunk.max_std == 0.0
    assert first_rows(found) == [["twin", "0", "0", "0", found.joints[0]]]
    written = found.to_dict()["engines"]
    assert written["ort-fp32"]["against_first"] is None
    assert written["twin"]["against_first"]["executed"]["max_std"] == 0.0


def test_other_statistics_are_another_policy(
    dataset: Dataset, exported_engine: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(small_checkpoint, tmp_path / "other"))
    (file,) = other.glob("*_unnormalizer_*.safetensors")
    tensors = load_file(file)
    tensors["action.mean"] += 0.1
    save_file(tensors, file)
    found = eval_candidates([str(exported_engine)], NOWHERE, other)
    assert "other weights or statistics" in found.notes[0]
    usual = eval_candidates([str(exported_engine)], NOWHERE)
    assert usual.torch is not None
    assert found.torch is not None
    assert found.torch.identity != usual.torch.identity
    out = tmp_path / "out"
    evaluate(dataset, usual, out, episodes=[0], stride=4)
    with pytest.raises(UsageError, match="computed with engines"):
        evaluate(dataset, found, out, episodes=[0], stride=4)


def test_torch_is_not_asked_for_and_left_out_at_once(exported_engine: Path) -> None:
    for names, checkpoint in ((["torch"], None), ([], "somewhere")):
        with pytest.raises(UsageError, match="--no-torch"):
            eval_candidates([str(exported_engine), *names], NOWHERE, checkpoint, with_torch=False)


def test_a_recorded_action_that_is_no_number_does_not_count(
    candidates: EvalCandidates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holed = write_dataset(tmp_path / "waving", Form(50, VECTORS, CAMERAS), lengths=(9,))
    whole = evaluate(holed, candidates, tmp_path / "a", episodes=[0], stride=4).scores[0].chunk
    recorded = holed.actions(0)
    recorded[7] = np.nan
    monkeypatch.setattr(holed, "actions", lambda episode: recorded)
    for _ in range(2):  # run, and kept
        found = evaluate(holed, candidates, tmp_path / "b", episodes=[0], stride=4).scores[0].chunk
        # frames 0 and 4 predict row 7
        assert found.steps_counted == whole.steps_counted - 2
        assert np.isfinite(found.l1).all()


def test_a_finished_episode_is_not_run_again(
    dataset: Dataset, exported_engine: Path, tmp_path: Path
) -> None:
    candidates = eval_candidates([str(exported_engine)], NOWHERE, with_torch=False)
    calls: list[tuple[int, int]] = []

    def stop_in_the_second(done: int, total: int) -> None:
        calls.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(
            dataset, candidates, tmp_path, episodes=[0, 1], stride=4, progress=stop_in_the_second
        )
    assert calls == [(1, 10), (2, 10), (3, 10), (4, 10)]
    assert [file.name for file in (tmp_path / "episodes").iterdir()] == ["0.npz"]
    assert verdict.choose_stride(dataset, [0, 1], tmp_path) == 4
    calls.clear()
    first = evaluate(
        dataset,
        candidates,
        tmp_path,
        episodes=[0, 1],
        stride=4,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 8) for done in range(1, 9)]
    second = evaluate(dataset, candidates, tmp_path, episodes=[0, 1], stride=4, progress=_never)
    whole = evaluate(dataset, candidates, tmp_path / "whole", episodes=[0, 1], stride=4)
    for other in (second, whole):
        assert np.array_equal(other.scores[0].chunk.l1, first.scores[0].chunk.l1)
    with pytest.raises(UsageError, match=r"stride 4, now 5"):
        evaluate(dataset, candidates, tmp_path, episodes=[0], stride=5)
    evaluate(dataset, candidates, tmp_path, episodes=[0], stride=5, fresh=True)
    assert [file.name for file in (tmp_path / "episodes").iterdir()] == ["0.npz"]


def _never(done: int, total: int) -> None:
    raise AssertionError("an inference that was kept was made again")


def test_recorded_actions_that_changed_are_noticed(
    dataset: Dataset, candidates: EvalCandidates, tmp_path: Path
) -> None:
    evaluate(dataset, candidates, tmp_path / "out", episodes=[0], stride=4)
    again = write_dataset(tmp_path / "waving", Form(50, VECTORS, CAMERAS), lengths=(9,))
    with pytest.raises(UsageError, match=r"episode 0 of the dataset has changed"):
        evaluate(again, candidates, tmp_path / "out", episodes=[0], stride=4)


def test_the_stride_bounds_the_frames(dataset: Dataset, tmp_path: Path) -> None:
    assert verdict.choose_stride(dataset, [0, 1], tmp_path) == 1
    chosen = verdict.choose_episodes(dataset, None)
    assert chosen == (0, 1)
    with pytest.raises(RecordingError, match="no episode 7: the dataset has 0 to 1"):
        verdict.choose_episodes(dataset, [7])
    with pytest.raises(UsageError, match="no frame"):
        verdict.choose_episodes(dataset, [])


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Form(50, VECTORS, {}), ("cam_high", "takes observation.state", "the dataset has")),
        (
            Form(50, VECTORS, dict.fromkeys(CAMERAS, (48, 64))),
            ("cam_high", "images of 64x48", "takes 128x96"),
        ),
        (
            Form(50, VECTORS | {"action": JOINTS[:6]}, CAMERAS),
            ("action: 6 joints", "commands 14"),
        ),
        (
            Form(50, VECTORS | {"observation.state": JOINTS[:6]}, CAMERAS),
            ("observation.state: 6 values", "takes 14"),
        ),
    ],
)
def test_a_dataset_of_another_robot_is_refused(
    form: Form, words: tuple[str, ...], candidates: EvalCandidates, tmp_path: Path
) -> None:
    other = write_dataset(tmp_path / "other", form, lengths=(3,))
    with pytest.raises(RecordingError) as caught:
        evaluate(other, candidates, tmp_path / "out", episodes=[0], stride=1)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_who_takes_part(exported_engine: Path, small_checkpoint: Path, altered: Altered) -> None:
    by_name = eval_candidates(["ort-fp32"], exported_engine.parent)
    assert [c.name for c in by_name.all_candidates] == ["ort-fp32", "torch"]
    assert eval_candidates(["ort-fp32"], exported_engine.parent, with_torch=False).torch is None
    only_torch = eval_candidates(["torch"], NOWHERE, small_checkpoint)
    assert [c.name for c in only_torch.all_candidates] == ["torch"]
    with pytest.raises(UsageError, match="which has ort-fp32"):
        eval_candidates(["ort-int8"], exported_engine.parent)
    with pytest.raises(UsageError, match="give --checkpoint"):
        eval_candidates(["torch"], NOWHERE)

    moved = altered("moved", str(small_checkpoint), "/gone/checkpoint")
    left_out = eval_candidates([str(moved)], NOWHERE)
    assert left_out.torch is None
    assert "not compared with torch: /gone/checkpoint" in left_out.notes[0]
    with pytest.raises(CheckpointError):
        eval_candidates([str(moved), "torch"], NOWHERE)
