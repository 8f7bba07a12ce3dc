"""What training costs a token, as `power flops` counts it: weights that every token passes through, the product with the vocabulary, and
the state.

Weights are the projections and the MLP, at 6 FLOPs a token, and so are those of the language model's head. An attention head's state costs 2·(d + e) FLOPs a
pair of tokens, or 2·D·(e + 1) for reading the expanded state and again for adding to it; backward has 2.5 times the products of
forward. Nothing that is computed again is counted, whoever computes it again.
"""

from dataclasses import dataclass

# The tokens of a chunk where the state is counted: what `power flops` chooses at the model's widths. The function is the same for every
# chunk, so this is the work asked for, and not what a program does with chunks of its own.
CHUNK = 512


@dataclass(frozen=True)
class Shape:
    """The extents of the model; those of a GPT-2 of 124M parameters unless given."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    mlp_ratio: int = 4
    vocabulary: int = 50_257

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def weights(shape: Shape) -> float:
    return 6.0 * shape.layers * shape.width * (4 * shape.width + 2 * shape.mlp_ratio * shape.width)


def head(shape: Shape) -> float:
    return 6.0 * shape.vocabulary * shape.width


def exponential(shape: Shape, context: int) -> float:
    return 3.5 * shape.layers * shape.heads * 4 * shape.head_width * (context + 1) / 2


def power(shape: Shape, context: int) -> float:
    """Degree 2: the chunked form, or the attention form where that is less."""
    if context <= CHUNK:
        return exponential(shape, context)
    width = shape.head_width
    chunks, rest = divmod(context, CHUNK)
    pairs = 4 * width * (chunks * CHUNK * (CHUNK + 1) / 2 + rest * (rest + 1) / 2) / context
    features = width * (width + 1) // 2
    read, added = context - CHUNK, context - (rest or CHUNK)
    chunked = 3.5 * shape.layers * shape.heads * (pairs + 2 * features * (width + 1) * (read + added) / context)
    return min(chunked, exponential(shape, context))


def per_token(shape: Shape, context: int, mixer: str) -> float:
    """FLOPs of weights, head and state, forward and backward; `mixer` is "power" or "exponential"."""
    return weights(shape) + head(shape) + (power if mixer == "power" else exponential)(shape, context)
