"""Train ACT with LeRobot itself: `python -m bench.trained.train DATASET CHECKPOINT`.

Run it with LeRobot's interpreter (scripts/make-lerobot-venv). The network, its loss, the pre- and
post-processors and the saved folder are LeRobot's; the loop is here, since it stops at a wall
clock limit and the last episodes are held out: every few minutes their L1, in joint units, is
printed beside that of staying where the arms are. CHECKPOINT is replaced whole each time,
so it can always be loaded. A dataset that cannot be read is one line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.datasets.factory import IMAGENET_STATS
from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from numpy.typing import NDArray
from torchvision.ops.misc import FrozenBatchNorm2d

from actd.datasets import Dataset, open_dataset
from actd.errors import ActdError
from bench.trained.frames import ACTION, STATE, Frames

CHUNK = 50
BATCH = 8
WARM_UP_STEPS = 200
CALIBRATION_FRAMES = 64
HELD_OUT_EVERY = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line chose."""

    dataset: Path
    checkpoint: Path
    minutes: float
    report_minutes: float
    held_out: int
    seed: int
    dim_model: int
    dim_feedforward: int
    learning_rate: float
    max_steps: int


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Mean L1 of each joint on held-out frames, in the joint's unit: (joints,) each."""

    policy: NDArray[np.float64]
    staying: NDArray[np.float64]


class Training:
    """One run. `run` does it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        torch.manual_seed(settings.seed)
        self._random = np.random.default_rng(settings.seed)
        dataset = open_dataset(settings.dataset)
        split = len(dataset.episodes) - settings.held_out
        self._train = Frames(dataset, dataset.episodes[:split], CHUNK)
        self._held_out = Frames(dataset, dataset.episodes[split:], CHUNK)
        self.names = dataset.names(ACTION)
        self._policy = ACTPolicy(_config(dataset, settings))
        stats = LeRobotDatasetMetadata("actd/trained", root=settings.dataset).stats
        # What LeRobot's training does by default: every camera has ImageNet's statistics.
        stats |= {key: _tensors(IMAGENET_STATS) for key in dataset.cameras}
        self._before, self._after = make_pre_post_processors(
            self._policy.config, dataset_stats=stats
        )
        self._calibrate_norms()
        self._optimizer = torch.optim.AdamW(
            self._policy.get_optim_params(),
            lr=settings.learning_rate,
            weight_decay=self._policy.config.optimizer_weight_decay,
            fused=True,
        )

    def run(self) -> HeldOut:
        """Train until the time or the steps are up, save, and return the last measurement."""
        settings = self._settings
        print(f"{len(self._train)} frames to train on, {len(self._held_out)} held out", flush=True)
        start_s = time.monotonic()
        next_report_s = settings.report_minutes * 60
        step, losses = 0, []
        while True:
            passed_s = time.monotonic() - start_s
            done = max(passed_s / (settings.minutes * 60), step / settings.max_steps)
            if passed_s >= next_report_s or done >= 1:
                next_report_s += settings.report_minutes * 60
                held_out = self.measure()
                _say(step, passed_s, losses, held_out)
                self._save()
                losses = []
            if done >= 1:
                return held_out
            losses.append(self._step(step, done))
            step += 1

    def measure(self) -> HeldOut:
        """L1 on the held-out episodes of whole chunks, and that of keeping the present pose."""
        self._policy.eval()
        policy, staying = [], []
        numbers = self._held_out.whole(HELD_OUT_EVERY)
        for some in np.array_split(numbers, -(-len(numbers) // 16)):
            raw = self._held_out.batch(some)
            with torch.no_grad():
                predicted = self._after(self._policy.predict_action_chunk(self._before(raw)))
            policy.append((predicted - raw[ACTION]).abs().mean(1))
            staying.append((raw[STATE][:, None] - raw[ACTION]).abs().mean(1))
        self._policy.train()
        return HeldOut(*(torch.cat(part).mean(0).double().numpy() for part in (policy, staying)))

    def _step(self, step: int, done: float) -> float:
        """One optimiser step at `done` (0 to 1) of the run; returns the loss."""
        warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * warm_up * max(0.02, 1 - done)
        batch = self._before(self._train.batch(self._random.integers(len(self._train), size=BATCH)))
        with torch.autocast(self._policy.config.device, torch.bfloat16):
            loss, _ = self._policy.forward(batch)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._policy.parameters(), 10.0)
        self._optimizer.step()
        return float(loss.detach())

    def _calibrate_norms(self) -> None:
        """Give each frozen normalisation the statistics of what it sees in real frames.

        With none from pretraining they are 0 and 1, and activations grow from layer to layer.
        """

        def take(norm: FrozenBatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
            norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
            norm.running_var.copy_(inputs[0].var((0, 2, 3)))

        norms = [m for m in self._policy.modules() if isinstance(m, FrozenBatchNorm2d)]
        hooks = [norm.register_forward_pre_hook(take) for norm in norms]
        count = min(CALIBRATION_FRAMES, len(self._train))
        some = self._random.choice(len(self._train), size=count, replace=False)
        batch = self._before(self._train.batch(some))
        images = torch.cat([batch[key] for key in self._policy.config.image_features])
        with torch.no_grad():
            self._policy.model.backbone(images)
        for hook in hooks:
            hook.remove()

    def _save(self) -> None:
        """Replace the checkpoint, whole."""
        folder = self._settings.checkpoint
        with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder.parent) as scratch:
            new = Path(scratch) / "new"
            for part in (self._policy, self._before, self._after):
                part.save_pretrained(new)
            if folder.exists():
                folder.rename(Path(scratch) / "old")
            new.rename(folder)


def _config(dataset: Dataset, settings: Settings) -> ACTConfig:
    def vector(kind: FeatureType, key: str) -> PolicyFeature:
        return PolicyFeature(kind, tuple(dataset.features[key]["shape"]))

    def camera(key: str) -> PolicyFeature:
        height, width, channels = dataset.features[key]["shape"]
        return PolicyFeature(FeatureType.VISUAL, (channels, height, width))

    return ACTConfig(
        input_features={
            STATE: vector(FeatureType.STATE, STATE),
            **{key: camera(key) for key in dataset.cameras},
        },
        output_features={ACTION: vector(FeatureType.ACTION, ACTION)},
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        dim_model=settings.dim_model,
        dim_feedforward=settings.dim_feedforward,
        use_vae=False,
        pretrained_backbone_weights=None,
        device="cuda" if torch.cuda.is_available() else "cpu",
        push_to_hub=False,
    )


def _tensors(stats: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in stats.items()}


def _say(step: int, passed_s: float, losses: Sequence[float], held_out: HeldOut) -> None:
    policy, staying = held_out.policy.mean(), held_out.staying.mean()
    print(
        f"step {step}  {passed_s / 60:.1f} min  loss {np.mean(losses) if losses else np.nan:.4f}  "
        f"held-out L1 {policy:.4f}  staying {staying:.4f}  ratio {policy / staying:.3f}",
        flush=True,
    )


def _check_place(checkpoint: Path) -> None:
    """Raise ActdError when what is there is not a checkpoint: it would be replaced."""
    if checkpoint.exists() and not (checkpoint / "config.json").is_file():
        raise ActdError(f"{checkpoint}: exists and is not a checkpoint; give another place")
    checkpoint.parent.mkdir(parents=True, exist_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.trained.train", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--report-minutes", type=float, default=3)
    parser.add_argument("--held-out", type=int, default=10, help="episodes, the last ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dim-model", type=int, default=512)
    parser.add_argument("--dim-feedforward", type=int, default=3200)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--max-steps", type=int, default=100_000)
    settings = Settings(**vars(parser.parse_args(argv)))
    try:
        _check_place(settings.checkpoint)
        training = Training(settings)
        held_out = training.run()
    except (ActdError, OSError) as error:
        print(f"bench.trained.train: {error}", file=sys.stderr)
        return 1
    for name, policy, staying in zip(
        training.names, held_out.policy, held_out.staying, strict=True
    ):
        print(f"{name:24} L1 {policy:.4f}  staying {staying:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
