"""Train ACT with LeRobot: `python -m examples.aloha.train DATASET RUN`.

Run it with LeRobot's interpreter (scripts/make-lerobot-venv). The network, its loss, the pre- and
post-processors and the folders are LeRobot's: RUN/checkpoints/last/pretrained_model, with the
optimiser's state beside it. Start the same command again and it goes on from its last report; a new
run begins with random weights, or with those of another run (`--weights`). It ends after `--steps`
or `--minutes`, whichever is sooner, and the learning rate falls to a hundredth by then. The last
episodes are held out: every few minutes their L1, in joint units, is printed beside that of staying
where the arms are, the checkpoint is replaced whole, and the curves are drawn to RUN/training.png.
A failure is one line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from examples.aloha.curves import Point, draw
from examples.aloha.frames import ACTION, STATE, Frames

CHUNK = 50
BATCH = 8
WARM_UP_STEPS = 200
CALIBRATION_FRAMES = 64
HELD_OUT_EVERY = 8
REPO_ID = "actd/aloha"
LAST = Path("checkpoints", "last")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line chose."""

    dataset: Path
    run: Path
    weights: Path | None
    steps: int
    minutes: float
    report_minutes: float
    held_out: int
    seed: int
    dim_model: int
    dim_feedforward: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Mean L1 of each joint on held-out frames, in the joint's unit: (joints,) each."""

    policy: NDArray[np.float64]
    staying: NDArray[np.float64]


class Training:
    """One run, new or continued. `run` does it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._step = 0
        self._spent_s = 0.0
        self._curve: list[Point] = []
        torch.manual_seed(settings.seed)
        dataset = open_dataset(settings.dataset)
        split = len(dataset.episodes) - settings.held_out
        self._episodes = dataset.episodes[:split]
        self._train = Frames(dataset, self._episodes, CHUNK)
        self._held_out = Frames(dataset, dataset.episodes[split:], CHUNK)
        self.names = dataset.names(ACTION)
        self._policy = ACTPolicy(_config(dataset, settings))
        stats = LeRobotDatasetMetadata(REPO_ID, root=settings.dataset).stats
        # What LeRobot's training does by default: every camera has ImageNet's statistics.
        stats |= {key: _tensors(IMAGENET_STATS) for key in dataset.cameras}
        self._before, self._after = make_pre_post_processors(
            self._policy.config, dataset_stats=stats
        )
        self._optimizer = torch.optim.AdamW(
            self._policy.get_optim_params(),
            lr=settings.learning_rate,
            weight_decay=self._policy.config.optimizer_weight_decay,
            fused=True,
        )
        if (settings.run / LAST).exists():
            self._load()
        elif settings.weights:
            self._load_weights(settings.weights / LAST)
        else:
            self._calibrate_norms()

    def run(self) -> HeldOut:
        """Train until the steps or the minutes are up; return the last measurement."""
        settings = self._settings
        print(
            f"step {self._step} of {settings.steps}; {len(self._train)} frames to train on, "
            f"{len(self._held_out)} held out",
            flush=True,
        )
        start_s = report_s = time.monotonic()
        first = self._step / settings.steps
        losses: list[float] = []
        while True:
            now_s = time.monotonic()
            passed = (now_s - start_s) / (settings.minutes * 60)
            done = max(self._step / settings.steps, first + (1 - first) * passed)
            is_over = done >= 1
            if is_over or now_s - report_s >= settings.report_minutes * 60:
                self._spent_s += now_s - report_s
                held_out = self.measure()
                self._report(float(np.mean(losses)) if losses else math.nan, held_out)
                self._save()
                losses, report_s = [], time.monotonic()
                if is_over:
                    return held_out
            losses.append(self._take_step(done))
            self._step += 1

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

    def _take_step(self, done: float) -> float:
        """One optimiser step at `done` (0 to 1) of the training; returns the loss."""
        warm_up = min(1.0, (self._step + 1) / WARM_UP_STEPS)
        rate = self._settings.learning_rate * warm_up * max(0.01, math.cos(math.pi / 2 * done) ** 2)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # By the step, so that a continued run sees what an unbroken one would have seen.
        random = np.random.default_rng((self._settings.seed, self._step))
        batch = self._before(self._train.batch(random.integers(len(self._train), size=BATCH)))
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
        random = np.random.default_rng(self._settings.seed)
        some = random.choice(len(self._train), size=count, replace=False)
        batch = self._before(self._train.batch(some))
        images = torch.cat([batch[key] for key in self._policy.config.image_features])
        with torch.no_grad():
            self._policy.model.backbone(images)
        for hook in hooks:
            hook.remove()

    def _report(self, loss: float, held_out: HeldOut) -> None:
        point = Point(
            self._step,
            self._spent_s / 60,
            loss,
            float(held_out.policy.mean()),
            float(held_out.staying.mean()),
        )
        self._curve.append(point)
        print(
            f"step {point.step}  {point.minutes:.1f} min  loss {loss:.4f}  held-out L1 "
            f"{point.held_out:.4f}  staying {point.staying:.4f}",
            flush=True,
        )

    def _load_weights(self, last: Path) -> None:
        """Take the weights of a checkpoint. Raises ActdError when it is not one of this example."""
        folder = last / "pretrained_model"
        if not last.is_dir():
            raise ActdError(f"{last}: no such folder; give a RUN")
        try:
            self._policy.load_state_dict(ACTPolicy.from_pretrained(folder).state_dict())
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ActdError(f"{folder}: weights of another policy: {reason[:200]}") from None

    def _load(self) -> None:
        """Go on from the last checkpoint. Raises ActdError when it is not one of this example."""
        last = self._settings.run / LAST
        self._load_weights(last)
        try:
            state = last / "training_state"
            self._optimizer.load_state_dict(
                torch.load(state / "optimizer.pt", map_location="cpu", weights_only=True)
            )
            progress = json.loads((state / "training_step.json").read_text())
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise ActdError(f"{last}: cannot be continued: {reason}; give another RUN") from None
        self._step, self._spent_s = progress["step"], progress["seconds"]
        self._curve = [Point(**point) for point in progress["curve"]]

    def _save(self) -> None:
        """Replace the last checkpoint, whole, and the picture of the curves."""
        folder = self._settings.run / LAST
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder.parent) as scratch:
            new = Path(scratch) / "new"
            for part in (self._policy, self._before, self._after):
                part.save_pretrained(new / "pretrained_model")
            (new / "training_state").mkdir()
            self._write_state(new)
            if folder.exists():
                folder.rename(Path(scratch) / "old")
            new.rename(folder)
        draw(self._curve, self._settings.run / "training.png")

    def _write_state(self, folder: Path) -> None:
        torch.save(self._optimizer.state_dict(), folder / "training_state" / "optimizer.pt")
        progress = {
            "step": self._step,
            "seconds": self._spent_s,
            "curve": [asdict(point) for point in self._curve],
        }
        settings = self._settings
        # The names that LeRobot's own file has: where the dataset is tells actd the rate, and the
        # episodes which ones an engine is judged on.
        config = {
            "dataset": {
                "repo_id": REPO_ID,
                "root": str(settings.dataset.resolve()),
                "episodes": self._episodes,
            },
            "steps": settings.steps,
            "batch_size": BATCH,
            "seed": settings.seed,
            "optimizer": {"type": "adamw", "lr": settings.learning_rate},
        }
        for name, content in (
            ("training_state/training_step.json", progress),
            ("pretrained_model/train_config.json", config),
        ):
            (folder / name).write_text(json.dumps(content, indent=2) + "\n")


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
        dropout=0.0,
        pretrained_backbone_weights=None,
        device="cuda" if torch.cuda.is_available() else "cpu",
        push_to_hub=False,
    )


def _tensors(stats: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in stats.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.aloha.train", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("run", type=Path, help="folder of the run; continued if it is there")
    parser.add_argument(
        "--weights", type=Path, help="another run, whose policy a new one begins with"
    )
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="end earlier; continue later"
    )
    parser.add_argument("--report-minutes", type=float, default=3)
    parser.add_argument("--held-out", type=int, default=20, help="episodes, the last ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dim-model", type=int, default=256)
    parser.add_argument("--dim-feedforward", type=int, default=1024)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    settings = Settings(**vars(parser.parse_args(argv)))
    try:
        training = Training(settings)
        held_out = training.run()
    except (ActdError, OSError) as error:
        print(f"examples.aloha.train: {error}", file=sys.stderr)
        return 1
    for name, policy, staying in zip(
        training.names, held_out.policy, held_out.staying, strict=True
    ):
        print(f"{name:24} L1 {policy:.4f}  staying {staying:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
