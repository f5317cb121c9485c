"""An engine folder of actd's as a LeRobot policy.

What LeRobot hands over is turned back into what cameras and robot gave: uint8 pictures and raw
state; the engine normalises by itself and answers in physical units. Actions are chosen from
chunks as LeRobot's ACT does it, by a queue or by LeRobot's own ensembler.
"""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.act.modeling_act import ACTPolicy, ACTTemporalEnsembler
from lerobot.policies.factory import make_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from numpy.typing import NDArray
from torch import Tensor

from actd.engine.acceptance import tolerance_excess
from actd.engine.load import load_engine
from actd.engine.manifest import Manifest, read_manifest
from actd.engine.verify import compare
from lerobot_policy_actd.configuration_actd import ActdConfig

log = logging.getLogger(__name__)

_OF_A_CHECKPOINT = ("config.json", "model.safetensors", "policy_preprocessor.json")


class ActdPolicy(PreTrainedPolicy):  # type: ignore[misc]
    """`ActdPolicy.from_pretrained(ENGINE_FOLDER)`; LeRobot's commands do that for `--policy.path`.

    Raises EngineError where the engine is damaged, not for this computer, or does not compute its
    reference here, and ValueError where its first chunk is not LeRobot's.
    """

    config_class = ActdConfig
    name = "actd"

    def __init__(self, config: ActdConfig, folder: str | Path | None = None, **_: Any) -> None:
        super().__init__(config)
        if folder is None:
            raise ValueError(
                "no engine: give --policy.path=ENGINE_FOLDER, which `actd export` wrote"
            )
        self.config = config
        self._folder = Path(folder)
        self._manifest = read_manifest(self._folder)
        self._engine = load_engine(self._folder, judge=True)
        self._compared = False
        self.reset()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_name_or_path: str | Path,
        *,
        config: ActdConfig | None = None,
        **kwargs: Any,
    ) -> ActdPolicy:
        """The policy of an engine folder; `config` default: the one in it."""
        if config is None:
            config = PreTrainedConfig.from_pretrained(pretrained_name_or_path)
        policy = cls(config, pretrained_name_or_path, **kwargs)
        policy.eval()
        return policy

    def reset(self) -> None:
        """Forget the chunks of the episode before."""
        self._queue: deque[Tensor] = deque(maxlen=self.config.n_action_steps)
        coeff = self.config.temporal_ensemble_coeff
        self._ensembler = (
            None if coeff is None else ACTTemporalEnsembler(coeff, self.config.chunk_size)
        )

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **_: Any) -> Tensor:
        """(batch, chunk_size, action_dim), in physical units, from LeRobot's observation."""
        chunks = self._chunks(batch)
        if not self._compared:
            self._compared = True
            self._compare(batch, chunks)
        return torch.from_numpy(chunks).to(self.config.device)

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **_: Any) -> Tensor:
        """The action for now, (batch, action_dim), in physical units."""
        if self._ensembler is not None:
            action: Tensor = self._ensembler.update(self.predict_action_chunk(batch))
            return action
        if not self._queue:
            chunk = self.predict_action_chunk(batch)[:, : self.config.n_action_steps]
            self._queue.extend(chunk.transpose(0, 1))
        return self._queue.popleft()

    def get_optim_params(self) -> dict[str, Any]:
        """Raises NotImplementedError: an engine is not trained."""
        raise NotImplementedError("an engine is not trained; train the checkpoint")

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Any] | None]:
        """Raises NotImplementedError: an engine is not trained."""
        raise NotImplementedError("an engine is not trained; train the checkpoint")

    def _chunks(self, batch: dict[str, Tensor]) -> NDArray[np.float32]:
        spec = self._engine.spec
        missing = [feature.key for feature in spec.inputs if feature.key not in batch]
        if missing:
            raise ValueError(
                f"{self._folder}: no {', '.join(missing)} in the observation, which has "
                f"{', '.join(sorted(batch))}; name the robot's cameras so, or use --rename_map"
            )
        arrays = {feature.key: _array(batch[feature.key]) for feature in spec.inputs}
        count = len(next(iter(arrays.values())))
        return np.stack(
            [
                self._engine.infer({key: value[k] for key, value in arrays.items()})
                for k in range(count)
            ]
        )

    def _compare(self, batch: dict[str, Tensor], chunks: NDArray[np.float32]) -> None:
        """The first chunk with LeRobot's own, where the checkpoint is at hand."""
        expected = _lerobots(self._manifest, batch)
        if expected is None:
            log.info("%s: its checkpoint is not here; not compared with LeRobot", self._folder)
            return
        parity = compare(chunks, expected, self._manifest.action_std)
        tolerance = self._manifest.recipe.tolerance
        # one chunk has too few values for a percentile
        tolerance = tolerance.model_copy(update={"p99_std": tolerance.max_std})
        excess = tolerance_excess(parity, tolerance)
        if excess:
            raise ValueError(
                f"{self._folder}: not LeRobot's answer for this observation: {excess}; "
                f"rebuild with: {self._manifest.rebuild}, or use another engine"
            )
        log.info("%s: as LeRobot's policy, at most %.3g std off", self._folder, parity.max_std)


def _array(values: Tensor) -> NDArray[Any]:
    """(batch, ...): pictures of 0 to 1 as uint8 (H, W, 3), vectors as they are."""
    if values.ndim == 4:
        pixels = (values.detach().cpu().float() * 255.0).round().clamp(0, 255)
        return np.ascontiguousarray(pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return values.detach().cpu().to(torch.float32).numpy()


def _lerobots(manifest: Manifest, batch: dict[str, Tensor]) -> NDArray[np.float32] | None:
    """LeRobot's chunks, (batch, chunk, joints); None without a checkpoint that LeRobot reads."""
    checkpoint = Path(manifest.source.path)
    if not all((checkpoint / name).is_file() for name in _OF_A_CHECKPOINT):
        return None
    config = PreTrainedConfig.from_pretrained(checkpoint)
    # The backbone's weights are in the checkpoint: nothing is to be fetched for them.
    config.device, config.pretrained_backbone_weights = "cpu", None
    policy = ACTPolicy.from_pretrained(checkpoint, config=config)
    before, after = make_pre_post_processors(policy.config, pretrained_path=str(checkpoint))
    chunks: Tensor = after(policy.predict_action_chunk(before(dict(batch))))
    return chunks.float().cpu().numpy()
