"""What all engines of one export share: the checkpoint, the frames, torch's chunks.

Computed once, when first needed. Raises what the functions it calls raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.datasets import open_dataset
from actd.datasets.motion import measure
from actd.demonstrations import Demonstrations
from actd.engine.base import Observation
from actd.errors import RecordingError
from actd.export.calibration import SYNTHETIC, calibration_frames, validation_frames
from actd.export.episodes import is_dataset
from actd.export.frames import Frames
from actd.export.graph.onnx_graph import write_onnx
from actd.export.int8.quantize import Quantizer
from actd.policy.checkpoint import Checkpoint
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec

Report = Callable[[str], None]

VALIDATION_FRAMES = 120
# Random images are not consecutive, and more of them give no more information.
VALIDATION_FRAMES_SYNTHETIC = 6


class Job:
    """One export. `source` is the source of recorded frames, None without any."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        overrides: Overrides,
        source: str | Path | None,
        scratch: Path,
        report: Report,
    ) -> None:
        self.checkpoint = checkpoint
        self.overrides = overrides
        self.source = source
        self.report = report
        self._scratch = scratch
        self._calibration: dict[int, Frames] = {}

    @property
    def synthetic(self) -> bool:
        """Whether there are no recorded frames."""
        return self.source is None or str(self.source) == SYNTHETIC

    @property
    def source_name(self) -> str:
        """The source for the manifest: `synthetic`, or an absolute path."""
        return SYNTHETIC if self.synthetic else str(Path(self.source or "").resolve())

    @cached_property
    def demonstrations(self) -> Demonstrations | None:
        """What the dataset tells that the policy was trained on, None where it is not at hand.

        It is the source of the frames, where that can be it, or the one that the checkpoint names.
        """
        source = None if self.synthetic else Path(self.source or "")
        places = [source] if source is not None and is_dataset(source) else []
        places += [self.checkpoint.dataset_folder] if self.checkpoint.dataset_folder else []
        for place in dict.fromkeys(places):
            try:
                demonstrations = measure(open_dataset(place), str(place))
            except RecordingError as error:
                self.report(f"note: {error}: limits and the start are not known from it")
                continue
            if words := self.checkpoint.spec.unlike(demonstrations):
                self.report(f"note: {place}: not what the policy was trained on: {words}")
                continue
            return demonstrations
        return None

    @cached_property
    def spec(self) -> PolicySpec:
        """The policy's, completed by what its dataset tells."""
        spec = self.checkpoint.spec
        return spec if self.demonstrations is None else spec.completed(self.demonstrations)

    @cached_property
    def float_model(self) -> Path:
        """The policy as ONNX in float32."""
        file = self._scratch / "float" / "model.onnx"
        file.parent.mkdir()
        self.report(f"exporting {self.checkpoint.folder} to ONNX")
        write_onnx(self.checkpoint, file)
        return file

    def calibration(self, count: int) -> Frames:
        """At most `count` frames to measure ranges on; synthetic ones without a source."""
        if count not in self._calibration:
            frames = calibration_frames(self.source or SYNTHETIC, self.checkpoint, count)
            self._calibration[count] = frames
        return self._calibration[count]

    @cached_property
    def quantizer(self) -> Quantizer:
        """The quantizer of the policy's ONNX model."""
        return Quantizer(self.float_model, self._scratch / "int8")

    @cached_property
    def validation_frames(self) -> Frames:
        """The frames that engines are compared with torch on."""
        if self.source is None or self.synthetic:
            return validation_frames(SYNTHETIC, self.checkpoint, VALIDATION_FRAMES_SYNTHETIC)
        frames = validation_frames(self.source, self.checkpoint, VALIDATION_FRAMES)
        for note in frames.notes:
            self.report(f"note: {note}")
        # of motion unlike the training's, in other units say, the recorded actions are no measure
        demonstrations = self.demonstrations
        if demonstrations is None or demonstrations.motion.source != str(Path(self.source)):
            return replace(frames, recorded=None)
        return frames

    @cached_property
    def reference(self) -> NDArray[np.float32]:
        """Torch's chunks (N, chunk, joints) for the validation frames."""
        return self.torch(self.validation_frames.observations)

    def torch(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
        """Torch's chunks (N, chunk, joints) for any observations."""
        from actd.policy.network import Policy

        self.report(f"running torch on {len(observations)} frames")
        policy = Policy(self.checkpoint)
        return np.stack([policy.infer(observation) for observation in observations])
