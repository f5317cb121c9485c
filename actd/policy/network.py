"""ACT in torch, for inference: one observation in, one chunk of physical actions out.

Owns the arithmetic between raw inputs and physical actions, normalisation
included, so that an exported graph needs nothing around it. The variational
encoder serves training only and is absent: the latent is zero. Everything is
unbatched; module names are those of the checkpoints, so tensors load by name.
Fails only by torch's own errors: the checkpoint's reader has checked the tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from actd.policy.normalization import affine
from actd.policy.resnet import ResNet
from actd.policy.spec import Architecture, PolicySpec

if TYPE_CHECKING:
    from actd.policy.checkpoint import Checkpoint

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
}


class Attention(nn.Module):
    """Multi-head attention over unbatched sequences (N, D)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            functional.linear(x, w, b).reshape(x.shape[0], self.heads, -1).transpose(0, 1)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(1, 2)
        mixed = torch.softmax(scores, dim=-1) @ v
        return torch.as_tensor(self.out_proj(mixed.transpose(0, 1).reshape(query.shape[0], -1)))


class Layer(nn.Module):
    """What encoder and decoder layers share: the feed-forward and where the norms go."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.pre_norm = a.pre_norm
        self.activation = _ACTIVATIONS[a.feedforward_activation]
        self.linear1 = nn.Linear(a.dim_model, a.dim_feedforward)
        self.linear2 = nn.Linear(a.dim_feedforward, a.dim_model)
        self.norm1 = nn.LayerNorm(a.dim_model)
        self.norm2 = nn.LayerNorm(a.dim_model)

    def residual(self, x: Tensor, norm: nn.Module, step: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            return x + step(norm(x))
        return torch.as_tensor(norm(x + step(x)))

    def feedforward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.linear2(self.activation(self.linear1(x))))


class EncoderLayer(Layer):
    """Self-attention with positions on queries and keys, then the feed-forward."""

    def __init__(self, a: Architecture) -> None:
        super().__init__(a)
        self.self_attn = Attention(a.dim_model, a.n_heads)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        x = self.residual(x, self.norm1, lambda y: self.self_attn(y + positions, y + positions, y))
        return self.residual(x, self.norm2, self.feedforward)


class DecoderLayer(Layer):
    """Self-attention of the queries, attention to the encoder's output, feed-forward."""

    def __init__(self, a: Architecture) -> None:
        super().__init__(a)
        self.self_attn = Attention(a.dim_model, a.n_heads)
        self.multihead_attn = Attention(a.dim_model, a.n_heads)
        self.norm3 = nn.LayerNorm(a.dim_model)

    def forward(self, x: Tensor, queries: Tensor, memory: Tensor, positions: Tensor) -> Tensor:
        x = self.residual(x, self.norm1, lambda y: self.self_attn(y + queries, y + queries, y))
        x = self.residual(
            x,
            self.norm2,
            lambda y: self.multihead_attn(y + queries, memory + positions, memory),
        )
        return self.residual(x, self.norm3, self.feedforward)


class Encoder(nn.Module):
    """The encoder layers; a closing norm only where the layers norm first."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(a) for _ in range(a.n_encoder_layers))
        self.norm = nn.LayerNorm(a.dim_model) if a.pre_norm else nn.Identity()

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, positions)
        return torch.as_tensor(self.norm(x))


class Decoder(nn.Module):
    """The decoder layers, from zeros, and their closing norm."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(a) for _ in range(a.n_decoder_layers))
        self.norm = nn.LayerNorm(a.dim_model)

    def forward(self, queries: Tensor, memory: Tensor, positions: Tensor) -> Tensor:
        x = torch.zeros_like(queries)
        for layer in self.layers:
            x = layer(x, queries, memory, positions)
        return torch.as_tensor(self.norm(x))


class Network(nn.Module):
    """ACT between normalised inputs and normalised actions."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        a = spec.architecture
        dim = a.dim_model
        sizes = {f.kind: f.shape[0] for f in spec.vectors}
        self.backbone = None
        if spec.cameras:
            self.backbone = ResNet(a.vision_backbone, a.replace_final_stride_with_dilation)
            self.encoder_img_feat_input_proj = nn.Conv2d(self.backbone.channels, dim, 1)
        self.encoder_latent_input_proj = nn.Linear(a.latent_dim, dim)
        if "STATE" in sizes:
            self.encoder_robot_state_input_proj = nn.Linear(sizes["STATE"], dim)
        if "ENV" in sizes:
            self.encoder_env_state_input_proj = nn.Linear(sizes["ENV"], dim)
        self.encoder_1d_feature_pos_embed = nn.Embedding(1 + len(sizes), dim)
        self.encoder = Encoder(a)
        self.decoder_pos_embed = nn.Embedding(spec.chunk_size, dim)
        self.decoder = Decoder(a)
        self.action_head = nn.Linear(dim, spec.action_dim)

    def forward(self, state: Tensor | None, env: Tensor | None, images: Sequence[Tensor]) -> Tensor:
        """Vectors (D,) and images (1, 3, H, W), all normalised -> (chunk, joints) normalised."""
        # a zero latent leaves only the projection's bias
        tokens = [self.encoder_latent_input_proj.bias.unsqueeze(0)]
        if state is not None:
            tokens.append(self.encoder_robot_state_input_proj(state.unsqueeze(0)))
        if env is not None:
            tokens.append(self.encoder_env_state_input_proj(env.unsqueeze(0)))
        tokens.extend(self._see(image) for image in images)
        positions = self.positions([(image.shape[2], image.shape[3]) for image in images])
        memory = self.encoder(torch.cat(tokens), positions)
        decoded = self.decoder(self.decoder_pos_embed.weight, memory, positions)
        return torch.as_tensor(self.action_head(decoded))

    def _see(self, image: Tensor) -> Tensor:
        """Tokens (h*w, D) of one image, row by row."""
        if self.backbone is None:
            raise ValueError("this policy has no camera")
        features = self.encoder_img_feat_input_proj(self.backbone(image))
        return torch.as_tensor(features.flatten(2).squeeze(0).transpose(0, 1))

    def positions(self, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Position (D,) of every token, for images of these heights and widths."""
        parts = [self.encoder_1d_feature_pos_embed.weight]
        if self.backbone is not None:
            dim = parts[0].shape[1]
            for size in sizes:
                place = torch.from_numpy(sine_positions(*self.backbone.feature_size(*size), dim))
                parts.append(place.to(parts[0].device))
        return torch.cat(parts)


def sine_positions(
    rows: int, columns: int, dim: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """The 2-D sine embedding (rows*columns, dim): half the channels for y, half for x."""
    half = dim // 2
    period = 10000.0 ** (2 * (np.arange(half) // 2) / half)

    def axis(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        place = np.arange(1, count + 1) / (count + 1e-6) * 2 * math.pi
        angle = place[:, None] / period
        return np.where(np.arange(half) % 2 == 0, np.sin(angle), np.cos(angle))

    y = np.repeat(axis(rows), columns, axis=0)
    x = np.tile(axis(columns), (rows, 1))
    return np.concatenate([y, x], axis=1).astype(np.float32)


class Policy(nn.Module):
    """A checkpoint as one function of raw inputs.

    `forward(*inputs)` takes the inputs in `spec.inputs` order: cameras uint8 RGB
    (H, W, 3), vectors float32 (D,); gives (chunk, joints) in physical units.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.spec = checkpoint.spec
        self.network = Network(self.spec)
        self.network.load_state_dict(dict(checkpoint.tensors))
        for i, feature in enumerate((*self.spec.inputs, self.spec.action)):
            offset, divisor, shift = affine(
                checkpoint.normalization[feature.key],
                checkpoint.statistics[feature.key],
                feature.shape[0],
                0.0 if feature.kind == "ACTION" else checkpoint.eps,
                checkpoint.eps_added,
            )
            if feature.kind == "VISUAL":
                # one multiply and one add from bytes to normalised pixels
                offset, divisor = shift - offset / divisor, 255.0 * divisor
            for name, values in (("offset", offset), ("divisor", divisor)):
                tensor = torch.from_numpy(values.astype(np.float32))
                self.register_buffer(f"{name}{i}", tensor, persistent=False)
            self.register_buffer(
                f"shift{i}", torch.tensor(shift, dtype=torch.float32), persistent=False
            )
        self.eval().requires_grad_(False)

    def forward(self, *inputs: Tensor) -> Tensor:
        state = env = None
        images: list[Tensor] = []
        for i, (feature, x) in enumerate(zip(self.spec.inputs, inputs, strict=True)):
            offset, divisor = self.get_buffer(f"offset{i}"), self.get_buffer(f"divisor{i}")
            if feature.kind == "VISUAL":
                # cast first: some runtimes let only a cast read bytes
                pixels = x.to(torch.float32) * (1.0 / divisor) + offset
                images.append(pixels.permute(2, 0, 1).unsqueeze(0))
                continue
            y = (x - offset) / divisor + self.get_buffer(f"shift{i}")
            state, env = (y, env) if feature.kind == "STATE" else (state, y)
        actions = self.network(state, env, images)
        i = len(self.spec.inputs)
        scaled = (actions - self.get_buffer(f"shift{i}")) * self.get_buffer(f"divisor{i}")
        return torch.as_tensor(scaled + self.get_buffer(f"offset{i}"))

    def infer(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """One observation by feature name -> (chunk, joints) float32."""
        inputs = [
            torch.from_numpy(np.ascontiguousarray(observation[f.key])) for f in self.spec.inputs
        ]
        with torch.inference_mode():
            return np.asarray(self(*inputs).numpy())


def tensor_shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that the network of `spec` needs."""
    with torch.device("meta"):
        network = Network(spec)
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
