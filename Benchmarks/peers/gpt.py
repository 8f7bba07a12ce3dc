"""The model of `power train` in PyTorch: the same parameters, the same function, for the rivals' training steps.

Pre-norm blocks with LayerNorm, rotary positions, a GELU MLP in its tanh form, no biases in projections, the head tied to the embedding.
Master weights are in float32; autocast multiplies in bfloat16. Queries, keys and values are one matrix here.
"""

import importlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from flops import Shape

GATE_BIAS = 6.906768


@dataclass(frozen=True)
class Settings:
    shape: Shape = Shape()
    # GPT-2's 50,257 tokens, and rows of zeros' worth up to a multiple of 128, which products take faster.
    vocabulary: int = 50_304
    attention: str = "flash"
    # Tokens a chunk of `retention`, and which of its implementations: its Triton kernels, or those of `vidrial` for some of them.
    chunk: int = 1_024
    implementation: str = "triton"
    # Whether blocks are computed again in the backward pass instead of kept.
    recompute: bool = False
    # Rows of logits that exist at a time.
    loss_rows: int = 8_192
    residual: torch.dtype = torch.bfloat16

    @property
    def gated(self) -> bool:
        return self.attention in ["retention", "definition"]


def definition(q, k, v, log_g):
    """Power attention of degree 2 over all pairs of tokens; tensors [b, t, h, d]. For small tests."""
    scores = torch.einsum("bihd,bjhd->bhij", q.float(), k.float()) / q.shape[-1] ** 0.5
    sums = log_g.cumsum(1).transpose(1, 2)
    weights = (sums[..., :, None] - sums[..., None, :]).tril().exp().tril() * scores**2
    return torch.einsum("bhij,bjhe->bihe", weights / weights.sum(-1, keepdim=True), v.float()).to(v.dtype)


def select_sdpa(name: str) -> None:
    """Leaves PyTorch one kernel for scaled_dot_product_attention, so that another cannot stand in for it."""
    torch.backends.cuda.enable_flash_sdp(name == "flash")
    torch.backends.cuda.enable_cudnn_sdp(name == "cudnn")
    torch.backends.cuda.enable_math_sdp(name == "math")
    torch.backends.cuda.enable_mem_efficient_sdp(False)


def mixing(settings: Settings):
    """y [b, t, h, d] = f(q, k, v, log_g)."""
    if settings.attention == "definition":
        return definition
    if settings.attention == "retention":
        power_retention = importlib.import_module(f"retention.{settings.implementation}").power_retention
        return lambda q, k, v, log_g: power_retention(q, k, v, log_G=log_g, deg=2, chunk_size=settings.chunk)

    def softmax(q, k, v, log_g):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)

    return softmax


def rotate(x, cosines, sines):
    """Turns the pairs (i, i + d/2) of every head; x [b, t, h, d], angles [t, 1, d/2]."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat([a * cosines - b * sines, a * sines + b * cosines], dim=-1).to(x.dtype)


class Block(nn.Module):
    def __init__(self, settings: Settings, mix):
        super().__init__()
        shape = settings.shape
        self.heads, self.head_width = shape.heads, shape.head_width
        self.mixer_norm = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.gate = nn.Linear(shape.width, shape.heads) if settings.gated else None
        self.output = nn.Linear(shape.width, shape.width, bias=False)
        self.mlp_norm = nn.LayerNorm(shape.width)
        self.up = nn.Linear(shape.width, shape.mlp_ratio * shape.width, bias=False)
        self.down = nn.Linear(shape.mlp_ratio * shape.width, shape.width, bias=False)
        self.mix = mix
        residual = 0.02 / (2 * shape.layers) ** 0.5
        for layer, deviation in [(self.qkv, 0.02), (self.output, residual), (self.up, 0.02), (self.down, residual)]:
            nn.init.normal_(layer.weight, std=deviation)
        if self.gate is not None:
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(self.gate.bias, GATE_BIAS)

    def forward(self, x, cosines, sines):
        y = self.mixer_norm(x)
        q, k, v = self.qkv(y).unflatten(-1, (3, self.heads, self.head_width)).unbind(2)
        q, k = rotate(q, cosines, sines), rotate(k, cosines, sines)
        # The bias in float32: in bfloat16 a gate of 0.999 would be off by some percent of what it forgets.
        log_g = None if self.gate is None else F.logsigmoid(F.linear(y, self.gate.weight).float() + self.gate.bias)
        x = x + self.output(self.mix(q, k, v, log_g).flatten(-2)).to(x.dtype)
        y = F.gelu(self.up(self.mlp_norm(x)), approximate="tanh")
        return x + self.down(y).to(x.dtype)


class GPT(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(settings.vocabulary, settings.shape.width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        # One function for all blocks: the compiler knows blocks apart by it, and would compile each for itself.
        mix = mixing(settings)
        self.blocks = nn.ModuleList(Block(settings, mix) for _ in range(settings.shape.layers))
        self.norm = nn.LayerNorm(settings.shape.width)
        self.angles = None

    def hide_mixer(self) -> None:
        """Lets the compiler call the mixer as it is, without looking inside."""
        mix = torch.compiler.disable(mixing(self.settings))
        for block in self.blocks:
            block.mix = mix

    def positions(self, length: int, device):
        if self.angles is None or self.angles[0].shape[0] != length:
            half = self.settings.shape.head_width // 2
            exponents = torch.arange(half, device=device, dtype=torch.float64) / half
            angles = torch.outer(torch.arange(length, device=device, dtype=torch.float64), 10_000.0**-exponents)[:, None]
            self.angles = (angles.cos().float(), angles.sin().float())
        return self.angles

    def hidden(self, tokens):
        """What the head reads, [b, t, width]."""
        angles = self.positions(tokens.shape[1], tokens.device)
        x = self.embedding(tokens).to(self.settings.residual)
        for block in self.blocks:
            x = checkpoint(block, x, *angles, use_reentrant=False) if self.settings.recompute else block(x, *angles)
        return self.norm(x)

    def forward(self, tokens, targets):
        """The mean cross-entropy in nats of targets [b, t]."""
        x = self.hidden(tokens).flatten(0, 1)
        return ChunkedCrossEntropy.apply(x, self.embedding.weight, targets.flatten(), self.settings.loss_rows)


def softmax_gradient(logits, targets, scale: float):
    """The sum of the losses of some rows, and the gradient of `scale` times it with respect to the logits, in their type."""
    kind, logits = logits.dtype, logits.float()
    largest = logits.amax(-1, keepdim=True)
    exponentials = (logits - largest).exp()
    total = exponentials.sum(-1, keepdim=True)
    loss = (total.log() + largest).sum() - logits.gather(-1, targets[:, None]).sum()
    chosen = torch.arange(logits.shape[-1], device=logits.device) == targets[:, None]
    return loss, ((exponentials / total - chosen.float()) * scale).to(kind)


class ChunkedCrossEntropy(torch.autograd.Function):
    """The head and its loss: logits exist for some rows at a time and are never computed twice, as the gradients are taken along."""

    step = staticmethod(softmax_gradient)

    @staticmethod
    def forward(ctx, x, weight, targets, rows):
        kind = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else x.dtype
        inputs, matrix = x.to(kind), weight.to(kind)
        dx, dweight = torch.empty_like(inputs), torch.zeros_like(weight)
        loss = torch.zeros((), device=x.device)
        for some in range(0, x.shape[0], rows):
            part = slice(some, some + rows)
            part_loss, dlogits = ChunkedCrossEntropy.step(inputs[part] @ matrix.T, targets[part], 1 / x.shape[0])
            loss += part_loss
            dx[part] = dlogits @ matrix
            dweight += dlogits.T @ inputs[part]
        ctx.save_for_backward(dx.to(x.dtype), dweight)
        return loss / x.shape[0]

    @staticmethod
    def backward(ctx, gradient):
        dx, dweight = ctx.saved_tensors
        return dx * gradient.to(dx.dtype), dweight * gradient, None, None


def load(model: GPT, tensors: dict) -> None:
    """Takes the parameters of a `model.safetensors` of `power train`; padded rows of the embedding become zero."""

    def put(parameter, *names):
        value = torch.cat([torch.as_tensor(tensors[name]).float() for name in names])
        with torch.no_grad():
            parameter.zero_()
            parameter[: value.shape[0]].copy_(value)

    put(model.embedding.weight, "embedding.weight")
    for number, block in enumerate(model.blocks):
        name = f"blocks.{number}"
        put(block.qkv.weight, *(f"{name}.mixer.{part}.weight" for part in ["query", "key", "value"]))
        put(block.output.weight, f"{name}.mixer.output.weight")
        put(block.up.weight, f"{name}.mlp.input.weight")
        put(block.down.weight, f"{name}.mlp.output.weight")
        norms = [(block.mixer_norm, f"{name}.mixer_norm"), (block.mlp_norm, f"{name}.mlp_norm")]
        if block.gate is not None:
            norms.append((block.gate, f"{name}.mixer.gate"))
        for layer, layer_name in norms:
            put(layer.weight, f"{layer_name}.weight")
            put(layer.bias, f"{layer_name}.bias")
    put(model.norm.weight, "norm.weight")
    put(model.norm.bias, "norm.bias")
