#!/usr/bin/env python3
"""Trains a GPT of 124M parameters with PyTorch and prints what a step takes, as a line of JSON.

    python3 train_peer.py cudnn --context 65536 --sequences 1
    python3 train_peer.py flash --context 1024 --sequences 64 --steps 30
    python3 train_peer.py retention --context 65536 --data linux.tokens
    python3 train_peer.py retention --context 16384 --layers 2 --steps 5

Mixers: SDPA's exponential attention with its flash or its cuDNN kernel (`math` anywhere), gated power attention of degree 2 of
`retention`, and the latter's definition for small tests. bfloat16 by autocast, float32 master weights, fused AdamW, gradients clipped at a
norm of 1, torch.compile. A step is timed between two events on the device, with the copy of its tokens; the host reads nothing inside.

What comes before the steps is bounded in time, and the log says where it is: configurations of `retention`'s kernels are compiled by many
processes and timed on one block, and a first step that does not end with the mixer compiled is done again with the mixer hidden from the
compiler, then without a compiler.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import statistics
import sys
import time
import traceback
from pathlib import Path
from unittest import mock

import phases
import tuning

MIXERS = ["flash", "cudnn", "math", "retention", "definition"]
KINDS = {"bfloat16", "float32"}


def share(text: str) -> tuple[int, int]:
    rank, count = map(int, text.split("/"))
    return rank, count


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("mixer", choices=MIXERS)
    result.add_argument("--context", type=int, default=65_536, help="tokens of a sequence")
    result.add_argument("--sequences", type=int, default=1, help="sequences of a step")
    result.add_argument("--steps", type=int, default=20, help="counted steps")
    result.add_argument("--warm-up", type=int, default=5, help="steps before them; the first one compiles")
    result.add_argument("--layers", type=int, default=12)
    result.add_argument("--width", type=int, default=768)
    result.add_argument("--heads", type=int, default=12)
    result.add_argument("--vocabulary", type=int, default=50_304, help="rows of the embedding")
    result.add_argument("--data", metavar="FILE", help="a token file of power data build; else tokens of a skewed distribution")
    result.add_argument("--weights", metavar="FILE", help="begin with the model.safetensors of a run of power train")
    result.add_argument("--learning-rate", type=float, default=6e-4)
    result.add_argument("--compile", choices=["block", "whole", "none"], default="block",
                        help="blocks one by one, which starts much faster, or the whole model (default: block)")
    result.add_argument("--opaque-mixer", action="store_true",
                        help="hide the mixer from the compiler; done by itself where the first step fails otherwise")
    result.add_argument("--implementation", choices=["triton", "vidrial"], default="triton",
                        help="of retention: vidrial's needs that package, CUTLASS's headers in it, and nvcc")
    result.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 16),
                        help="which compile retention's kernels; 0 leaves that and the choice of configurations to the first step")
    result.add_argument("--limits", type=float, nargs=3, default=[180, 100, 100], metavar=("KERNELS", "TUNING", "STEP"),
                        help="seconds for compiling retention's kernels, for choosing configurations, for a try of the first step "
                        "(default: 180 100 100)")
    result.add_argument("--share", type=share, metavar="RANK/COUNT", help=argparse.SUPPRESS)
    result.add_argument("--recompute", action="store_true", help="compute blocks again in the backward pass, to save memory")
    result.add_argument("--loss-rows", type=int, default=8_192, help="rows of logits that exist at a time")
    result.add_argument("--residual", choices=sorted(KINDS), default="bfloat16", help="type of the residual stream")
    result.add_argument("--chunk", type=int, default=1_024, help="tokens of a chunk of retention")
    result.add_argument("--peak-tflops", type=float, default=989.4, help="what the card does at most, for the utilization")
    result.add_argument("--device", default="cuda")
    return result


def checked(options, error) -> None:
    for name in ["context", "sequences", "steps", "layers", "width", "heads", "vocabulary", "loss_rows", "chunk", "warm_up"]:
        if getattr(options, name) < 1:
            error(f"--{name.replace('_', '-')}: {getattr(options, name)} given, expected at least 1")
    if options.processes < 0:
        error(f"--processes: {options.processes} given, expected at least 0")
    if min(options.limits) <= 0:
        error(f"--limits: {min(options.limits):g} given, expected seconds")
    if options.width % (2 * options.heads):
        error(f"--heads: {options.heads} given, expected heads of an even width in {options.width}")


def windows(path: str, length: int, count: int, vocabulary: int):
    """Windows of `length` tokens of a token file's training documents, `count` of them at the most, spread over all."""
    import numpy as np

    sys.path.append(str(Path(__file__).resolve().parents[2] / "Examples"))
    import read_token_file

    _, documents = read_token_file.read(path)
    places = [
        (tokens, start) for tokens, held_out in documents if not held_out
        for start in range(0, len(tokens) - length + 1, length)
    ]
    if not places:
        raise SystemExit(f"{path} has no training document of {length} tokens")
    chosen = np.random.default_rng(1).permutation(len(places))[:count]
    result = np.stack([places[index][0][places[index][1] :][:length] for index in chosen]).astype("int64")
    if result.max() >= vocabulary:
        raise SystemExit(f"{path}: token {result.max()}, expected less than --vocabulary {vocabulary}")
    return result


def batches(options, torch) -> list:
    """Tokens [sequences, context + 1] of some steps, in memory that a copy to the card need not wait for."""
    length, count = options.context + 1, min(options.warm_up + options.steps, 16)
    if options.data:
        found = torch.from_numpy(windows(options.data, length, count * options.sequences, options.vocabulary))
        rows = torch.arange(count * options.sequences) % found.shape[0]
        tokens = found[rows].view(count, options.sequences, length)
    else:
        generator = torch.Generator().manual_seed(1)
        uniform = torch.rand(count, options.sequences, length, generator=generator)
        tokens = (options.vocabulary**uniform - 1).long()
    return [batch.pin_memory() if options.device == "cuda" else batch.contiguous() for batch in tokens]


class Clock:
    """Marks moments on the device, or on the host where there is none; read when everything is over."""

    def __init__(self, torch, device: str):
        self.torch, self.on_card, self.marks = torch, device == "cuda", []

    def mark(self) -> None:
        if self.on_card:
            self.marks.append(self.torch.cuda.Event(enable_timing=True))
            self.marks[-1].record()
        else:
            self.marks.append(time.perf_counter())

    def milliseconds(self) -> list[float]:
        pairs = list(zip(self.marks, self.marks[1:]))
        if self.on_card:
            self.torch.cuda.synchronize()
            return [first.elapsed_time(second) for first, second in pairs]
        return [1e3 * (second - first) for first, second in pairs]


def make_model(options):
    import torch

    import flops
    import gpt

    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    gpt.select_sdpa(options.mixer)
    # Rows of the embedding behind the tokens are no work of the model.
    shape = flops.Shape(
        options.layers, options.width, options.heads, vocabulary=min(options.vocabulary, flops.Shape.vocabulary))
    settings = gpt.Settings(
        shape, options.vocabulary, options.mixer, options.chunk, options.implementation, options.recompute, options.loss_rows,
        getattr(torch, options.residual))
    with torch.device(options.device):
        return gpt.GPT(settings)


def run_block(model, options) -> None:
    """One block forward and back, as in a step, without a compiler."""
    import torch

    shape = (options.sequences, options.context, options.width)
    x = torch.randn(shape, device=options.device, dtype=model.settings.residual, requires_grad=True)
    with torch.autocast(options.device, torch.bfloat16):
        y = model.blocks[0](x, *model.positions(options.context, torch.device(options.device)))
    y.backward(torch.randn_like(y))
    model.zero_grad(set_to_none=True)


def compile_share(options) -> None:
    """Compiles a share of the configurations of the kernels of a block, on as few tokens as give the same kernels."""
    from triton.runtime.autotuner import Autotuner

    options.layers = 1
    options.sequences = tuning.alike(options.sequences)
    chunks, rest = divmod(options.context, options.chunk)
    if chunks > 1 and rest == 0:
        options.context = options.chunk * tuning.alike(chunks)
    model = make_model(options)
    with tuning.recording(Autotuner) as calls, other_kernels_hidden():
        run_block(model, options)
    tuning.compile_share(calls, *options.share)


@contextlib.contextmanager
def other_kernels_hidden():
    """What `vidrial` compiles with nvcc is left to the process that needs it."""
    with contextlib.ExitStack() as patches:
        for name, module in list(sys.modules.items()):
            if name.startswith("vidrial.kernels.") and callable(getattr(module, "binding", None)):
                patches.enter_context(mock.patch.object(module, "binding", lambda *given, **options: None))
        yield


def choose_configurations(model, options) -> dict:
    """Lets `retention` choose the configurations of its kernels, all compiled beforehand."""
    from triton.runtime.autotuner import Autotuner

    limits = dict(zip(["kernels", "tuning"], options.limits))
    tuning.keep_compiled(
        tuning.autotuners("retention", Autotuner),
        tuning.compile_all([sys.executable, *sys.argv], options.processes, limits["kernels"]))
    # What is timed when time is up ends soon after that.
    with tuning.timing(Autotuner, limits["tuning"]) as counts, phases.phase("choosing configurations", 2 * limits["tuning"]):
        run_block(model, options)
    phases.put(f"{counts['timed']} configurations timed, {counts['left_out']} left out")
    return counts


def first_step(step, model, optimizer, options) -> tuple[str, bool]:
    """Compiles the model as asked for and does a step, with less of it compiled where that fails or does not end; says how it was done."""
    import torch

    import gpt

    compiled, opaque = options.compile, options.opaque_mixer
    if compiled != "none":
        gpt.ChunkedCrossEntropy.step = staticmethod(torch.compile(gpt.softmax_gradient, dynamic=False))
    if compiled == "block":
        for block in model.blocks:
            block.compile(dynamic=False)
    elif compiled == "whole":
        model.hidden = torch.compile(model.hidden, dynamic=False)
    if opaque:
        model.hide_mixer()
    while True:
        words = "without a compiler" if compiled == "none" else f"{compiled} compiled" + (", its mixer hidden" if opaque else "")
        try:
            with phases.phase(f"first step, {words}", options.limits[2]):
                step(0)
                if options.device == "cuda":
                    torch.cuda.synchronize()
            return compiled, opaque
        except Exception:
            if compiled == "none":
                raise
            traceback.print_exc()
        torch.compiler.reset()
        optimizer.zero_grad(set_to_none=True)
        if opaque:
            compiled = "none"
            torch.compiler.set_stance("force_eager")
        else:
            opaque = True
            model.hide_mixer()


def train(options) -> dict:
    import torch

    import flops
    import gpt

    on_card = options.device == "cuda"
    model = make_model(options)
    shape = model.settings.shape
    if options.weights:
        from safetensors.torch import load_file

        gpt.load(model, load_file(options.weights))
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.95), fused=True)
    model.positions(options.context, torch.device(options.device))
    data = batches(options, torch)
    clock, losses, counts = Clock(torch, options.device), [], None

    def step(number: int) -> None:
        tokens = data[number % len(data)].to(options.device, non_blocking=True)
        with torch.autocast(options.device, torch.bfloat16):
            loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())

    start = time.monotonic()
    # In this thread, which is the one that meets the end of a phase.
    with torch.autograd.set_multithreading_enabled(False):
        if options.mixer == "retention" and options.processes > 0:
            counts = choose_configurations(model, options)
        compiled, opaque = first_step(step, model, optimizer, options)
    first_seconds = time.monotonic() - start
    if on_card:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    for number in range(1, options.warm_up):
        step(number)
    clock.mark()
    for number in range(options.warm_up, options.warm_up + options.steps):
        step(number)
        clock.mark()
    milliseconds = statistics.median(clock.milliseconds())
    phases.put(f"{options.warm_up + options.steps} steps are done")
    tokens = options.context * options.sequences
    rate = tokens / milliseconds * 1e3
    mixer = "power" if model.settings.gated else "exponential"
    flops_per_token = flops.per_token(shape, options.context, mixer)
    values = torch.stack(losses).tolist()
    return {
        "ms_per_step": milliseconds,
        "tokens_per_second": rate,
        "flops_per_token": flops_per_token,
        "mfu": rate * flops_per_token / options.peak_tflops / 1e12,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "first_loss": values[0],
        "last_loss": values[-1],
        "first_step_seconds": first_seconds,
        "compiled": compiled,
        "opaque_mixer": opaque,
        "configurations": counts,
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if on_card else None,
        "environment": {
            "card": torch.cuda.get_device_name() if on_card else "CPU",
            "PyTorch": torch.__version__,
        } | ({"retention": importlib.metadata.version("retention")} if options.mixer == "retention" else {}),
    }


def main() -> int:
    arguments = parser()
    options = arguments.parse_args()
    checked(options, arguments.error)
    if options.share:
        compile_share(options)
        return 0
    about = {"name": options.mixer, "pass": "train", "context": options.context, "sequences": options.sequences}
    try:
        result = train(options)
    except Exception as error:
        traceback.print_exc()
        result = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(about | result), flush=True)
    return 1 if "failed" in result else 0


if __name__ == "__main__":
    sys.exit(main())
