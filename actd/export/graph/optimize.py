"""Rewrite a policy with fewer operations, for a graph that is fast on every runtime.

Batch norms and pixel scales are folded into the convolutions, everything that does not depend on an
input is computed beforehand (actd.export.graph.optimize_transformer), and cameras of equal size
share one pass through the backbone. `actd.policy.network` is the readable form; module names stay
those of the checkpoints. Does not change the given Policy; raises only what torch raises.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from actd.export.graph.optimize_transformer import (
    OptimizedDecoder,
    OptimizedEncoder,
    linear,
    to_default_dtype,
)
from actd.policy.network import Policy
from actd.policy.resnet import FrozenBatchNorm, ResNet
from actd.policy.spec import PolicySpec


class OptimizedPolicy(nn.Module):
    """The policy from raw inputs in the spec's order to (chunk, joints) in physical units."""

    latent: Tensor

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.spec = policy.spec
        plain, a = policy.network, policy.spec.architecture
        positions = plain.positions([(f.shape[1], f.shape[2]) for f in self.spec.cameras])
        self.register_buffer("latent", plain.encoder_latent_input_proj.bias.data.unsqueeze(0))
        for i, feature in enumerate(self.spec.inputs):
            if feature.kind == "STATE":
                self.state = Normalize(*_affine(policy, i))
                self.encoder_robot_state_input_proj = plain.encoder_robot_state_input_proj
            elif feature.kind == "ENV":
                self.env = Normalize(*_affine(policy, i))
                self.encoder_env_state_input_proj = plain.encoder_env_state_input_proj
        if plain.backbone is not None:
            self.backbone = fold_norms(plain.backbone)
            self.groups = _of_equal_size(policy.spec)
            self.pixel_norms = nn.ModuleList(_pixel_norms(policy, self.groups, self.backbone.conv1))
            weight, bias = plain.encoder_img_feat_input_proj.parameters()
            self.encoder_img_feat_input_proj = linear(weight.data.flatten(1), bias.data)
        self.encoder = OptimizedEncoder(a, plain.encoder, positions)
        self.decoder = OptimizedDecoder(a, plain.decoder, plain.decoder_pos_embed.weight, positions)
        self.action_head = plain.action_head
        self.unscale = Unnormalize(*_affine(policy, len(self.spec.inputs)))
        self.eval().requires_grad_(False)

    def forward(self, *inputs: Tensor) -> Tensor:
        by_kind = {f.kind: x for f, x in zip(self.spec.inputs, inputs, strict=True)}
        images = [x for f, x in zip(self.spec.inputs, inputs, strict=True) if f.kind == "VISUAL"]
        tokens = [self.latent]
        if "STATE" in by_kind:
            tokens.append(self.encoder_robot_state_input_proj(self.state(by_kind["STATE"])))
        if "ENV" in by_kind:
            tokens.append(self.encoder_env_state_input_proj(self.env(by_kind["ENV"])))
        if images:
            tokens.append(self.encoder_img_feat_input_proj(self._features(images)))
        decoded = self.decoder(self.encoder(torch.cat(tokens)))
        return torch.as_tensor(self.unscale(self.action_head(decoded)))

    def _features(self, images: Sequence[Tensor]) -> Tensor:
        """The backbone's features (tokens, channels), camera by camera, row by row."""
        features: dict[int, Tensor] = {}
        for normalize, cameras in zip(self.pixel_norms, self.groups, strict=True):
            maps = self.backbone(normalize([images[i] for i in cameras]))
            rows = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
            if len(self.groups) == 1:
                return torch.as_tensor(rows)
            features.update(zip(cameras, rows.chunk(len(cameras)), strict=True))
        return torch.cat([features[i] for i in range(len(images))])


class Normalize(nn.Module):
    """A raw vector (D,) normalised, as a row (1, D)."""

    middle: Tensor
    divisor: Tensor

    def __init__(self, middle: Tensor, divisor: Tensor) -> None:
        super().__init__()
        self.register_buffer("middle", to_default_dtype(middle))
        self.register_buffer("divisor", to_default_dtype(divisor))

    def forward(self, x: Tensor) -> Tensor:
        # not folded into the layer after it: a raw value far from zero would lose digits there
        return ((x - self.middle) / self.divisor).unsqueeze(0)


class Unnormalize(nn.Module):
    """Normalised rows (N, D) in physical units."""

    middle: Tensor
    factor: Tensor

    def __init__(self, middle: Tensor, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("middle", to_default_dtype(middle))
        self.register_buffer("factor", to_default_dtype(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.middle


class PixelNormalization(nn.Module):
    """From the bytes of equal-sized cameras to the input of the first convolution.

    Pixels are only centred, so that zero padding has the value it had in training. `means` and
    `gains` are (cameras, 3).
    """

    mean: Tensor
    gain: Tensor

    def __init__(self, means: Tensor, gains: Tensor, width: int) -> None:
        super().__init__()
        self.scales = bool((gains != 1).any())
        # a whole row of pixels at once: three values at a time would take longer than all the rest
        for name, values in (("mean", means), ("gain", gains)):
            alike = bool((values == values[0]).all())
            row = values[:1] if alike else values
            self.register_buffer(name, to_default_dtype(row.repeat(1, width).unsqueeze(1)))

    def forward(self, images: Sequence[Tensor]) -> Tensor:
        """(H, W, 3) uint8 each -> (cameras, 3, H, W), centred."""
        height, width, channels = images[0].shape
        # cast first: some runtimes let only a cast read bytes
        pixels = torch.stack([image.to(self.mean.dtype) for image in images])
        pixels = pixels.reshape(-1, height, width * channels) - self.mean
        if self.scales:
            pixels = pixels * self.gain
        return pixels.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


def _of_equal_size(spec: PolicySpec) -> list[list[int]]:
    """Indices of the cameras, grouped by image size."""
    sizes = [f.shape for f in spec.cameras]
    return [[i for i, s in enumerate(sizes) if s == size] for size in dict.fromkeys(sizes)]


def _pixel_norms(
    policy: Policy, groups: list[list[int]], conv: nn.Conv2d
) -> list[PixelNormalization]:
    """One normalization per group; the first camera's scale is folded into `conv`."""
    cameras = [
        (*_affine(policy, i), f.shape[2])
        for i, f in enumerate(policy.spec.inputs)
        if f.kind == "VISUAL"
    ]
    scale = cameras[0][1]
    conv.weight.data = to_default_dtype(conv.weight.data.double() / scale.reshape(1, -1, 1, 1))
    return [
        PixelNormalization(
            torch.stack([cameras[i][0] for i in group]),
            torch.stack([scale / cameras[i][1] for i in group]),
            cameras[group[0]][2],
        )
        for group in groups
    ]


def _affine(policy: Policy, index: int) -> tuple[Tensor, Tensor]:
    """(middle, divisor) in double precision: normalised = (raw - middle) / divisor.

    Of one input, or of the actions at `len(spec.inputs)`.
    """
    features = (*policy.spec.inputs, policy.spec.action)
    offset, divisor, shift = (
        policy.get_buffer(f"{name}{index}").double() for name in ("offset", "divisor", "shift")
    )
    if features[index].kind == "VISUAL":
        # the plain form multiplies before it adds
        return -offset * divisor, divisor
    return offset - shift * divisor, divisor


def fold_norms(backbone: ResNet) -> ResNet:
    """A copy with the batch norms folded into the convolutions before them."""
    folded = copy.deepcopy(backbone)
    for module in list(folded.modules()):
        for (_, conv), (after, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm):
                scale, shift = norm.double().affine()
                conv.weight.data = to_default_dtype(
                    conv.weight.data.double() * scale.reshape(-1, 1, 1, 1)
                )
                conv.bias = nn.Parameter(to_default_dtype(shift))
                setattr(module, after, nn.Identity())
    return folded
