"""ACT's transformer with all constants computed beforehand.

Positions are always the same, so their contribution to queries and keys is a constant of each
layer; so is all of the first decoder layer up to its cross-attention. Constants are computed in
double precision and stored in torch's default one. Takes the plain modules of
`actd.policy.network` and shares their weights; module names stay those of the checkpoints.
Raises only what torch raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from actd.policy import network
from actd.policy.spec import Architecture


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with this weight (outputs, inputs) and bias (outputs,) of any precision."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = to_default_dtype(weight), to_default_dtype(bias)
    return layer


def to_default_dtype(constant: Tensor) -> Tensor:
    """A constant in torch's default precision, as it is stored."""
    return constant.to(torch.get_default_dtype()).contiguous()


class _Projections:
    """Queries, keys and values of an attention in double precision, queries scaled."""

    def __init__(self, plain: network.Attention) -> None:
        dim = plain.out_proj.in_features
        scale = torch.ones(3 * dim, dtype=torch.float64)
        scale[:dim] = math.sqrt(plain.heads / dim)
        self.weight = plain.in_proj_weight.data.double() * scale[:, None]
        self.bias = plain.in_proj_bias.data.double() * scale
        self.rows = [slice(i * dim, (i + 1) * dim) for i in range(3)]
        self._heads = plain.heads

    def place(self, positions: Tensor, part: int) -> Tensor:
        """Contribution of positions (N, D) to queries (part 0) or keys (1): (heads, N, D/heads)."""
        added = positions.double() @ self.weight[self.rows[part]].T
        return to_default_dtype(split_heads(added, self._heads))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(N, heads * size) -> (heads, N, size)."""
    return x.reshape(x.shape[0], heads, -1).permute(1, 0, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(heads, N, size) and twice (heads, M, size) -> (N, heads * size)."""
    mixed = torch.softmax(query @ key.transpose(1, 2), dim=-1) @ value
    return mixed.permute(1, 0, 2).reshape(query.shape[1], -1)


class SelfAttention(nn.Module):
    """Attention of (N, D) to itself; queries, keys and values are one product."""

    query_place: Tensor
    key_place: Tensor

    def __init__(self, plain: network.Attention, positions: Tensor) -> None:
        super().__init__()
        projections = _Projections(plain)
        self.heads = plain.heads
        self.in_proj = linear(projections.weight, projections.bias)
        self.out_proj = plain.out_proj
        self.register_buffer("query_place", projections.place(positions, 0))
        self.register_buffer("key_place", projections.place(positions, 1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = split_heads(self.in_proj(x), 3 * self.heads).chunk(3)
        mixed = _attend(query + self.query_place, key + self.key_place, value)
        return torch.as_tensor(self.out_proj(mixed))


class CrossAttention(nn.Module):
    """Attention of the decoder to the encoder's output; keys and values are one product."""

    query_place: Tensor
    key_place: Tensor

    def __init__(self, plain: network.Attention, queries: Tensor, positions: Tensor) -> None:
        super().__init__()
        projections = _Projections(plain)
        q, k, v = projections.rows
        self.heads = plain.heads
        self.query_proj = linear(projections.weight[q], projections.bias[q])
        self.in_proj = linear(
            projections.weight[k.start : v.stop], projections.bias[k.start : v.stop]
        )
        self.out_proj = plain.out_proj
        self.register_buffer("query_place", projections.place(queries, 0))
        self.register_buffer("key_place", projections.place(positions, 1))

    def query(self, x: Tensor) -> Tensor:
        """The queries of the decoder's state: (chunk, D) -> (heads, chunk, size)."""
        return split_heads(self.query_proj(x), self.heads) + self.query_place

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        key, value = split_heads(self.in_proj(memory), 2 * self.heads).chunk(2)
        return torch.as_tensor(self.out_proj(_attend(query, key + self.key_place, value)))


class _OptimizedLayer(network.Layer):
    """A layer with the norms and the feed-forward of a plain one."""

    def __init__(self, a: Architecture, plain: network.Layer) -> None:
        super().__init__(a)
        for name, part in plain.named_children():
            if not isinstance(part, network.Attention):
                self.add_module(name, part)


class OptimizedEncoderLayer(_OptimizedLayer):
    """Self-attention, then the feed-forward."""

    def __init__(self, a: Architecture, plain: network.EncoderLayer, positions: Tensor) -> None:
        super().__init__(a, plain)
        self.self_attn = SelfAttention(plain.self_attn, positions)

    def forward(self, x: Tensor) -> Tensor:
        x = self.residual(x, self.norm1, self.self_attn)
        return self.residual(x, self.norm2, self.feedforward)


class OptimizedDecoderLayer(_OptimizedLayer):
    """Self-attention of the queries, attention to the encoder's output, feed-forward."""

    norm3: nn.LayerNorm

    def __init__(
        self, a: Architecture, plain: network.DecoderLayer, queries: Tensor, positions: Tensor
    ) -> None:
        super().__init__(a, plain)
        self.self_attn = SelfAttention(plain.self_attn, queries)
        self.multihead_attn = CrossAttention(plain.multihead_attn, queries, positions)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        cross = self.multihead_attn
        x = self.residual(x, self.norm1, self.self_attn)
        x = self.residual(x, self.norm2, lambda y: cross(cross.query(y), memory))
        return self.residual(x, self.norm3, self.feedforward)


class FirstDecoderLayer(_OptimizedLayer):
    """The first layer, whose self-attention sees only the queries: constant up to `memory`."""

    norm3: nn.LayerNorm
    start: Tensor
    query: Tensor

    def __init__(
        self, a: Architecture, plain: network.DecoderLayer, queries: Tensor, positions: Tensor
    ) -> None:
        super().__init__(a, plain)
        cross = CrossAttention(plain.multihead_attn, queries, positions)
        attend = SelfAttention(plain.self_attn, queries)
        start = self.residual(torch.zeros_like(queries), self.norm1, attend)
        self.register_buffer("start", start)
        self.register_buffer("query", cross.query(self.norm2(start) if self.pre_norm else start))
        del cross.query_proj, cross.query_place
        self.multihead_attn = cross

    def forward(self, memory: Tensor) -> Tensor:
        # with pre_norm, the norm of `start` is in the query already
        x = self.start + self.multihead_attn(self.query, memory)
        x = x if self.pre_norm else self.norm2(x)
        return self.residual(x, self.norm3, self.feedforward)


class OptimizedEncoder(nn.Module):
    """The encoder's layers and final norm."""

    def __init__(self, a: Architecture, plain: network.Encoder, positions: Tensor) -> None:
        super().__init__()
        layers = cast("Iterable[network.EncoderLayer]", plain.layers)
        self.layers = nn.Sequential(
            *(OptimizedEncoderLayer(a, layer, positions) for layer in layers)
        )
        self.norm = plain.norm

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.norm(self.layers(x)))


class OptimizedDecoder(nn.Module):
    """The decoder's layers and final norm."""

    def __init__(
        self, a: Architecture, plain: network.Decoder, queries: Tensor, positions: Tensor
    ) -> None:
        super().__init__()
        first, *rest = cast("Iterable[network.DecoderLayer]", plain.layers)
        self.layers = nn.ModuleList(
            [
                FirstDecoderLayer(a, first, queries, positions),
                *(OptimizedDecoderLayer(a, layer, queries, positions) for layer in rest),
            ]
        )
        self.norm = plain.norm

    def forward(self, memory: Tensor) -> Tensor:
        first, *rest = self.layers
        x = first(memory)
        for layer in rest:
            x = layer(x, memory)
        return torch.as_tensor(self.norm(x))
