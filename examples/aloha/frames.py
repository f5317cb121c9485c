"""A whole dataset in memory, so that a training step decodes no video.

Owns the images (uint8), states and actions of some episodes. Gives batches as LeRobot's own
data loader would: images as float 0 to 1, and the chunk of actions from each frame on, with
its padding past the episode's end. Reads with `actd.datasets`; RecordingError where that fails.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actd.datasets import Dataset

STATE, ACTION, PADDING = "observation.state", "action", "action_is_pad"


class Frames:
    """Every frame of `episodes`. `len()` is how many there are."""

    def __init__(self, dataset: Dataset, episodes: Sequence[int], chunk: int) -> None:
        lengths = [dataset.length(episode) for episode in episodes]
        keys = (STATE, ACTION, *dataset.cameras)
        rows = (frame for episode in episodes for frame in dataset.frames(episode))
        for number, row in enumerate(rows):
            if number == 0:  # filled in place: the images would not fit twice
                self._values = {
                    key: np.empty((sum(lengths), *row[key].shape), row[key].dtype) for key in keys
                }
            for key in keys:
                self._values[key][number] = row[key]
        # Index of each frame's last frame in its episode.
        self._last = np.repeat(np.cumsum(lengths), lengths) - 1
        self._steps = np.arange(chunk)

    def __len__(self) -> int:
        return len(self._last)

    def whole(self, every: int) -> NDArray[np.intp]:
        """Each `every`-th frame that has a whole chunk of recorded actions after it."""
        (numbers,) = np.nonzero(np.arange(len(self)) + len(self._steps) - 1 <= self._last)
        return numbers[::every]

    def batch(self, numbers: NDArray[np.intp]) -> dict[str, Tensor]:
        """Frames by number: states (B, dim), images (B, 3, H, W), actions (B, chunk, dim)."""
        ahead = numbers[:, None] + self._steps
        last = self._last[numbers][:, None]
        batch = {
            key: torch.from_numpy(values[numbers])
            for key, values in self._values.items()
            if key != ACTION
        }
        for key, values in batch.items():
            if values.dtype == torch.uint8:
                batch[key] = values.permute(0, 3, 1, 2).contiguous().float() / 255
        batch[ACTION] = torch.from_numpy(self._values[ACTION][np.minimum(ahead, last)])
        batch[PADDING] = torch.from_numpy(ahead > last)
        return batch
