"""The rivals, each as a function of tensors on the card and imported when it is asked for, and their definitions in float64."""

import torch
import torch.nn.functional as F

from cases import CHUNK, HEADS, Case

DEVICE = "cuda"
# What a decoding step of softmax attention reads.
CACHED_TOKENS = 65_536


def inputs(batch: int, length: int, heads: int, width: int, gate: float = 0.002) -> dict[str, torch.Tensor]:
    """q, k, v and dy [b, t, h, d] in bfloat16 and log_g [b, t, h] in float32 between −gate and 0."""
    torch.manual_seed(1)
    tensors = {name: torch.randn(batch, length, heads, width, device=DEVICE, dtype=torch.bfloat16) for name in ["q", "k", "v", "dy"]}
    tensors["log_g"] = -gate * torch.rand(batch, length, heads, device=DEVICE)
    return tensors


def heads_first(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: x.transpose(1, 2).contiguous() for name, x in tensors.items()}


def sdpa(backend: str):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    kind = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}[backend]

    def call(q, k, v, log_g=None):
        with sdpa_kernel(kind):
            return F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] == k.shape[2])

    return call


def gla():
    from fla.ops.simple_gla import chunk_simple_gla

    return lambda q, k, v, log_g=None: chunk_simple_gla(q, k, v, g=log_g)[0]


def retention():
    from retention import power_retention

    return lambda q, k, v, log_g=None: power_retention(q, k, v, log_G=log_g, deg=2, chunk_size=CHUNK)


def function(name: str):
    """y = f(q, k, v, log_g); SDPA's tensors have their heads first."""
    return {"flash": lambda: sdpa("flash"), "cudnn": lambda: sdpa("cudnn"), "gla": gla, "retention": retention}[name]()


def decoder(name: str, case: Case):
    """A call without arguments that decodes one token of every sequence."""
    tensors = inputs(case.batch, 1, HEADS, case.width)
    q, k, v, log_g = (tensors[part] for part in ["q", "k", "v", "log_g"])
    if name in ["flash", "cudnn"]:
        shape = (case.batch, HEADS, CACHED_TOKENS, case.width)
        keys, values = (torch.randn(shape, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
        call, query = sdpa(name), q.transpose(1, 2)
        return lambda: call(query, keys, values)
    if name == "gla":
        from fla.ops.simple_gla import fused_recurrent_simple_gla

        state = torch.randn(case.batch, HEADS, case.width, case.width, device=DEVICE)
        return lambda: fused_recurrent_simple_gla(q, k, v, g=log_g, initial_state=state, output_final_state=True)
    from retention import power_retention_inference
    from retention._utils import compute_expanded_dim

    dimension = compute_expanded_dim(case.width, deg=2)
    state = torch.randn(case.batch, HEADS, dimension, case.width, device=DEVICE, dtype=torch.bfloat16)
    keys = torch.rand(case.batch, HEADS, dimension, device=DEVICE)
    return lambda: power_retention_inference(
        q, k, v, log_g, initial_state=state, sum_of_keys=keys, deg=2, switch_over_seq_len=1
    )


def definition(name: str, q, k, v, log_g):
    """All pairs of tokens in float64; tensors [b, t, h, d]."""
    scores = torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5
    if name in ["flash", "cudnn"]:
        causal = torch.ones_like(scores, dtype=torch.bool).tril()
        weights = scores.masked_fill(~causal, float("-inf")).softmax(-1)
        return torch.einsum("bhij,bjhe->bihe", weights, v)
    sums = log_g.cumsum(1).transpose(1, 2)
    decay = (sums[..., :, None] - sums[..., None, :]).tril().exp().tril()
    weights = decay * (scores if name == "gla" else scores**2)
    if name != "gla":
        weights = weights / weights.sum(-1, keepdim=True)
    return torch.einsum("bhij,bjhe->bihe", weights, v)


def gradients(call, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """y and the gradients of all inputs that have one."""
    leaves = {name: tensors[name].detach().clone().requires_grad_() for name in ["q", "k", "v", "log_g"]}
    y = call(**leaves)
    y.backward(tensors["dy"].to(y.dtype))
    return {"y": y.detach()} | {f"d{name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def error(x: torch.Tensor, reference: torch.Tensor) -> float:
    return ((x.double() - reference).norm() / reference.norm()).item()
