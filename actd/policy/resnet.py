"""The ResNet image backbone, for inference: its weights frozen, its batch norms constant.

Gives the feature map of the last stage. Module and parameter names are those of
the checkpoints (`layer3.0.downsample.1.running_var`). Fails only by torch's own
shape errors: the caller has checked the tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_BN_EPS = 1e-5


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with fixed statistics: an affine map per channel."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.empty(channels))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (channels,) that the norm amounts to."""
        scale = self.weight * (self.running_var + _BN_EPS).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.affine()
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)


class _Block(nn.Module):
    """A residual block: convolutions with their norms, and the skip beside them."""

    expansion = 1

    def __init__(self, convs: list[nn.Conv2d], skip: nn.Conv2d | None) -> None:
        super().__init__()
        self.depth = len(convs)
        for i, conv in enumerate(convs, 1):
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", FrozenBatchNorm(conv.out_channels))
        self.downsample = (
            nn.Sequential(skip, FrozenBatchNorm(skip.out_channels)) if skip is not None else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i in range(1, self.depth + 1):
            y = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(y))
            if i < self.depth:
                y = functional.relu(y)
        return functional.relu(y + (self.downsample(x) if self.downsample is not None else x))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)


class BasicBlock(_Block):
    """Two 3x3 convolutions (ResNet 18 and 34)."""

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int) -> None:
        skip = stride != 1 or inputs != planes
        super().__init__(
            [_conv(inputs, planes, 3, stride, dilation), _conv(planes, planes, 3, 1, dilation)],
            _conv(inputs, planes, 1, stride) if skip else None,
        )


class Bottleneck(_Block):
    """1x1, 3x3, 1x1 convolutions (ResNet 50); the stride sits on the 3x3."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int) -> None:
        outputs = planes * self.expansion
        skip = stride != 1 or inputs != outputs
        super().__init__(
            [
                _conv(inputs, planes, 1),
                _conv(planes, planes, 3, stride, dilation),
                _conv(planes, outputs, 1),
            ],
            _conv(inputs, outputs, 1, stride) if skip else None,
        )


_STAGES: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """ResNet up to its fourth stage: (1, 3, H, W) -> (1, channels, H/32, W/32).

    `dilated` keeps the last stage's resolution (H/16) and widens its kernels instead.
    """

    def __init__(self, name: str, dilated: bool) -> None:
        super().__init__()
        block, counts = _STAGES[name]
        self.conv1 = _conv(3, 64, 7, 2)
        self.bn1 = FrozenBatchNorm(64)
        width = 64
        for stage, count in enumerate(counts, 1):
            planes = 32 << stage
            widen = dilated and stage == 4
            layers = []
            for i in range(count):
                stride = 2 if i == 0 and stage > 1 and not widen else 1
                layers.append(block(width, planes, stride, 2 if widen and i > 0 else 1))
                width = planes * block.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.channels = width
        self.halvings = 4 if dilated else 5

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return x

    def feature_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of an image; every halving rounds up."""
        for _ in range(self.halvings):
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width
