"""A policy as the same function with fewer operations, for a graph that is fast everywhere.

Batch norms and the scale of pixels go into the convolutions, whatever no input reaches is computed
here (see actd.export.graph.optimize_transformer), and cameras of equal size share one pass
through the backbone.
`actd.policy.network` is the readable form; module names stay those of the checkpoints. Takes a
Policy, which it leaves as it is; fails only by torch's own errors.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from actd.export.graph.optimize_transformer import Decoder, Encoder, kept, linear
from actd.policy.network import Policy
from actd.policy.resnet import FrozenBatchNorm, ResNet
from actd.policy.spec import PolicySpec


class OptimizedPolicy(nn.Module):
    """The policy between raw inputs in the spec's order and (chunk, joints) in physical units."""

    latent: Tensor

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.spec = policy.spec
        plain, a = policy.network, policy.spec.architecture
        positions = plain.positions([(f.shape[1], f.shape[2]) for f in self.spec.cameras])
        self.register_buffer("latent", plain.encoder_latent_input_proj.bias.data.unsqueeze(0))
        for i, feature in enumerate(self.spec.inputs):
            if feature.kind == "STATE":
                self.state = Centred(*_affine(policy, i))
                self.encoder_robot_state_input_proj = plain.encoder_robot_state_input_proj
            elif feature.kind == "ENV":
                self.env = Centred(*_affine(policy, i))
                self.encoder_env_state_input_proj = plain.encoder_env_state_input_proj
        if plain.backbone is not None:
            self.backbone = fold_norms(plain.backbone)
            self.groups = _of_equal_size(policy.spec)
            self.eyes = nn.ModuleList(_eyes(policy, self.groups, self.backbone.conv1))
            weight, bias = plain.encoder_img_feat_input_proj.parameters()
            self.encoder_img_feat_input_proj = linear(weight.data.flatten(1), bias.data)
        self.encoder = Encoder(a, plain.encoder, positions)
        self.decoder = Decoder(a, plain.decoder, plain.decoder_pos_embed.weight, positions)
        self.action_head = plain.action_head
        self.unscale = Unscaled(*_affine(policy, len(self.spec.inputs)))
        self.eval().requires_grad_(False)

    def forward(self, *inputs: Tensor) -> Tensor:
        given = {f.kind: x for f, x in zip(self.spec.inputs, inputs, strict=True)}
        images = [x for f, x in zip(self.spec.inputs, inputs, strict=True) if f.kind == "VISUAL"]
        tokens = [self.latent]
        if "STATE" in given:
            tokens.append(self.encoder_robot_state_input_proj(self.state(given["STATE"])))
        if "ENV" in given:
            tokens.append(self.encoder_env_state_input_proj(self.env(given["ENV"])))
        if images:
            tokens.append(self.encoder_img_feat_input_proj(self._features(images)))
        decoded = self.decoder(self.encoder(torch.cat(tokens)))
        return torch.as_tensor(self.unscale(self.action_head(decoded)))

    def _features(self, images: Sequence[Tensor]) -> Tensor:
        """What the backbone sees (tokens, channels), camera by camera, row by row."""
        seen: dict[int, Tensor] = {}
        for eyes, cameras in zip(self.eyes, self.groups, strict=True):
            maps = self.backbone(eyes([images[i] for i in cameras]))
            rows = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
            if len(self.groups) == 1:
                return torch.as_tensor(rows)
            seen.update(zip(cameras, rows.chunk(len(cameras)), strict=True))
        return torch.cat([seen[i] for i in range(len(images))])


class Centred(nn.Module):
    """A raw vector (D,) normalised, as a row (1, D)."""

    middle: Tensor
    divisor: Tensor

    def __init__(self, middle: Tensor, divisor: Tensor) -> None:
        super().__init__()
        self.register_buffer("middle", kept(middle))
        self.register_buffer("divisor", kept(divisor))

    def forward(self, x: Tensor) -> Tensor:
        # not folded into the layer after it: a raw value far from zero would lose digits there
        return ((x - self.middle) / self.divisor).unsqueeze(0)


class Unscaled(nn.Module):
    """Normalised rows (N, D) in physical units."""

    middle: Tensor
    factor: Tensor

    def __init__(self, middle: Tensor, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("middle", kept(middle))
        self.register_buffer("factor", kept(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.middle


class Eyes(nn.Module):
    """From the bytes of equal-sized cameras to what the first convolution takes.

    Pixels are only centred, so that zero padding stays what it was in training. `means` and
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
            self.register_buffer(name, kept(row.repeat(1, width).unsqueeze(1)))

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
    """The cameras, counted from 0, in groups."""
    sizes = [f.shape for f in spec.cameras]
    return [[i for i, s in enumerate(sizes) if s == size] for size in dict.fromkeys(sizes)]


def _eyes(policy: Policy, groups: list[list[int]], conv: nn.Conv2d) -> list[Eyes]:
    """One for every group; takes the first camera's scale into `conv`."""
    cameras = [
        (*_affine(policy, i), f.shape[2])
        for i, f in enumerate(policy.spec.inputs)
        if f.kind == "VISUAL"
    ]
    scale = cameras[0][1]
    conv.weight.data = kept(conv.weight.data.double() / scale.reshape(1, -1, 1, 1))
    return [
        Eyes(
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
    """A copy whose convolutions do what the batch norms after them did."""
    folded = copy.deepcopy(backbone)
    for module in list(folded.modules()):
        for (_, conv), (after, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm):
                scale, shift = norm.double().affine()
                conv.weight.data = kept(conv.weight.data.double() * scale.reshape(-1, 1, 1, 1))
                conv.bias = nn.Parameter(kept(shift))
                setattr(module, after, nn.Identity())
    return folded
