"""A plain Llama: RMSNorm, rotary positions over adjacent pairs, grouped-query attention, SwiGLU, tied embeddings.

Adjacent pairs (x[2i], x[2i+1]) are what GGUF's "llama" layout means, so the weights export without a permutation.
"""

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F

IGNORE = -100  # a target that does not count


@dataclass
class Shape:
    vocab: int = 4096
    dim: int = 384
    layers: int = 8
    heads: int = 6
    kv_heads: int = 2
    hidden: int = 1024
    context: int = 1024
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self):
        return self.dim // self.heads

    def to_dict(self):
        return asdict(self)


# What a processor can train in minutes, to try the pipeline: it learns the form of the texts, not what is in them.
TOY = Shape(dim=128, layers=4, heads=4, hidden=320)


def rotary_table(shape, length, dtype=torch.float32):
    """cos and sin, each [length, head_dim / 2]."""
    frequency = shape.rope_base ** (-torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x, cos, sin):
    """x [batch, heads, time, head_dim] with cos, sin [time, head_dim / 2], or one of each per row and head."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2).to(x.dtype)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        kv = shape.kv_heads * shape.head_dim
        self.attn_norm = nn.RMSNorm(shape.dim, eps=shape.norm_eps)
        self.attn_q = nn.Linear(shape.dim, shape.dim, bias=False)
        self.attn_k = nn.Linear(shape.dim, kv, bias=False)
        self.attn_v = nn.Linear(shape.dim, kv, bias=False)
        self.attn_output = nn.Linear(shape.dim, shape.dim, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.dim, eps=shape.norm_eps)
        self.ffn_gate = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.ffn_up = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.dim, bias=False)

    def forward(self, x, cos, sin, cache=None, mask=None):
        """x [batch, time, dim]. With a cache (a dict that keeps k and v), x goes on after what the cache holds, and mask
        [batch, 1, time, all keys] says which keys each position may read."""
        batch, time, _ = x.shape
        split = lambda y, heads: y.view(batch, time, heads, self.shape.head_dim).transpose(1, 2)
        h = self.attn_norm(x)
        q = rotate(split(self.attn_q(h), self.shape.heads), cos, sin)
        k = rotate(split(self.attn_k(h), self.shape.kv_heads), cos, sin)
        v = split(self.attn_v(h), self.shape.kv_heads)
        if cache is not None:
            if cache:
                k, v = torch.cat((cache["k"], k), 2), torch.cat((cache["v"], v), 2)
            cache["k"], cache["v"] = k, v
        share = self.shape.heads // self.shape.kv_heads
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        x = x + self.attn_output(a.transpose(1, 2).reshape(batch, time, -1))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Llama(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.dim)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.dim, eps=shape.norm_eps)
        cos, sin = rotary_table(shape, shape.context)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * shape.layers) ** 0.5 if into_residual else 0.02)

    def forward(self, ids, targets=None):
        """ids [batch, time] -> logits [batch, time, vocab], or the mean loss (nats) against targets [batch, time]."""
        time = ids.shape[1]
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, self.cos[:time], self.sin[:time])
        logits = F.linear(self.output_norm(x), self.token_embd.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORE)

    def step(self, ids, positions, mask, caches):
        """Goes on from the caches, one dict per block: ids, positions [batch, time] -> logits of the last place [batch, vocab]."""
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        x = self.token_embd(ids)
        for block, cache in zip(self.blk, caches):
            x = block(x, cos, sin, cache, mask)
        return F.linear(self.output_norm(x[:, -1]), self.token_embd.weight)
