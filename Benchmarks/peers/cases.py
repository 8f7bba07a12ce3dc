"""The cases of the comparison, and the names of those that are compared."""

from dataclasses import dataclass

OURS = "power-attention"
# In the order in which they run; last those that tune themselves for minutes.
NAMES = [OURS, "copy", "flash", "cudnn", "gla", "retention"]
TITLES = {
    OURS: "power-attention",
    "flash": "SDPA flash",
    "cudnn": "SDPA cuDNN",
    "gla": "FLA simple_gla (p = 1)",
    "retention": "retention (Triton)",
    "copy": "copy",
}

TOKENS = 65_536
HEADS = 8
DECODE_BATCH = 32
CHUNK = 1_024


@dataclass(frozen=True, order=True)
class Case:
    """One row of the table: `batch` sequences of `length` tokens; for decoding, one token of each."""

    width: int
    length: int
    batch: int
    mode: str

    @property
    def title(self) -> str:
        if self.mode == "decode":
            return f"decode, batch {self.batch}, d = {self.width}"
        mode = "fwd + bwd" if self.mode == "both" else "fwd"
        return f"{self.length:,}, d = {self.width}, {mode}"


def cases(text: str = "") -> list[Case]:
    """All cases whose title contains `text`."""
    def rows(width: int, lengths: list[int]) -> list[Case]:
        return [Case(width, length, TOKENS // length, mode) for length in lengths for mode in ["forward", "both"]]

    # Wide heads last: what runs out of time there has the rest of its rows.
    table = rows(64, [65_536, 16_384, 4_096, 1_024]) + [Case(64, 1, DECODE_BATCH, "decode")] + rows(128, [65_536])
    return [case for case in table if text in case.title]
