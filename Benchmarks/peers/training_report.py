"""The table of training steps. Needs nothing besides Python."""

import json

import flops
from cases import OURS, TITLES
from report import reason, table

# In the order in which they run; `retention` tunes itself for minutes.
NAMES = [OURS, "cudnn", "flash", "retention"]


def parse_ours(text: str) -> list[dict]:
    """The result of `power_train.py`: the last line that has a rate."""
    for line in reversed(text.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and {"tokens_per_second", "ms_per_step"} <= value.keys():
            return [{"name": OURS} | value]
    return []


def utilization(result: dict, peak_tflops: float) -> float:
    """The work that the definition asks for over what the card could do in that time."""
    mixer = "power" if result["name"] in [OURS, "retention"] else "exponential"
    work = result.get("flops_per_token") or flops.per_token(flops.Shape(), result["context"], mixer)
    return result["tokens_per_second"] * work / peak_tflops / 1e12


def row(result: dict, ours: dict | None, peak_tflops: float) -> list[str]:
    start = [f"{result['context']:,} × {result['sequences']}", TITLES[result["name"]]]
    if "failed" in result:
        return start + [f"failed: {reason(result['failed'])}"] + ["–"] * 5
    ratio = "–"
    if result["name"] != OURS and ours and "tokens_per_second" in ours:
        ratio = f"{ours['tokens_per_second'] / result['tokens_per_second']:.2f}×"
    memory, seconds = result.get("peak_memory_bytes"), result.get("first_step_seconds")
    return start + [
        f"{result['ms_per_step']:.1f}",
        f"{result['tokens_per_second']:,.0f}",
        ratio,
        f"{utilization(result, peak_tflops):.1%}",
        "–" if memory is None else f"{memory / 1e9:.1f} GB",
        "–" if seconds is None else f"{seconds:.0f} s",
    ]


def page(results: list[dict], peak_tflops: float) -> str:
    facts: dict[str, str] = {}
    for result in results:
        facts |= result.get("environment", {})
    rows = []
    for size in sorted({(result["context"], result["sequences"]) for result in results}, reverse=True):
        some = [result for result in results if (result["context"], result["sequences"]) == size]
        ours = next((result for result in some if result["name"] == OURS), None)
        rows += [row(result, ours, peak_tflops) for result in sorted(some, key=lambda result: NAMES.index(result["name"]))]
    columns = ["context × sequences", "", "ms a step", "tokens/s", "ours over it", "utilization", "peak memory", "first step"]
    parts = [
        ", ".join(f"{fact} {value}" for fact, value in facts.items()) + ".\n" if facts else "",
        "A GPT of 124M parameters, bfloat16: power attention p = 2 with gates for power-attention and retention, exponential attention for "
        "SDPA. Medians of whole training steps after warm-up; above 1×, ours trains more tokens a second. Utilization: the FLOPs of weights, "
        f"head and state that `power flops` counts, over {peak_tflops:g} TFLOP/s.\n",
        table(columns, rows) if rows else "No results.\n",
    ]
    return "\n".join(part for part in parts if part)
