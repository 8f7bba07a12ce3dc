"""Measures one rival in a process of its own and prints a line of JSON for each result."""

import importlib.metadata
import json
import statistics
import time
import traceback

import torch

import rivals
from cases import HEADS, Case


def put(name: str, **result) -> None:
    print(json.dumps({"name": name} | result), flush=True)


def measure(call, rounds: int) -> float:
    """The median of the milliseconds on the device; three calls are not counted."""
    flush = torch.empty(256 << 20, dtype=torch.uint8, device=rivals.DEVICE)
    for _ in range(3):
        call()
    events = []
    for _ in range(rounds):
        flush.zero_()
        first, second = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        call()
        second.record()
        events.append((first, second))
    torch.cuda.synchronize()
    return statistics.median(first.elapsed_time(second) for first, second in events)


def prepared(name: str, case: Case):
    """What is to be timed, as a call without arguments."""
    if case.mode == "decode":
        decode = rivals.decoder(name, case)

        def run():
            with torch.no_grad():
                decode()

        return run
    tensors = rivals.inputs(case.batch, case.length, HEADS, case.width)
    if name in ["flash", "cudnn"]:
        tensors = rivals.heads_first(tensors)
    call, dy = rivals.function(name), tensors.pop("dy")
    if case.mode == "forward":

        def run():
            with torch.no_grad():
                call(**tensors)

        return run
    leaves = {part: x.requires_grad_() for part, x in tensors.items()}

    def run():
        for leaf in leaves.values():
            leaf.grad = None
        call(**leaves).backward(dy)

    return run


def accuracy(name: str) -> dict[str, float]:
    """Errors of y and of the gradients on a small case, through more than one chunk."""
    tensors = rivals.inputs(1, 2_048, 4, 64, gate=0.05)
    exact = {part: x.double() for part, x in tensors.items()}
    reference = rivals.gradients(lambda **leaves: rivals.definition(name, **leaves), exact)
    function = rivals.function(name)

    def call(q, k, v, log_g):
        if name not in ["flash", "cudnn"]:
            return function(q, k, v, log_g)
        return function(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)

    found = rivals.gradients(call, tensors)
    return {part: rivals.error(found[part], reference[part]) for part in found if part in reference}


def copy() -> None:
    source = torch.empty(1 << 30, dtype=torch.uint8, device=rivals.DEVICE)
    destination = torch.empty_like(source)
    milliseconds = measure(lambda: destination.copy_(source), 20)
    put("copy", gbytes_per_second=2 * source.numel() / milliseconds / 1e6)


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def work(name: str, cases: list[Case], rounds: int) -> None:
    packages = {"retention": ["retention", "triton"], "gla": ["fla-core", "triton"]}.get(name, [])
    facts = {"card": torch.cuda.get_device_name(), "PyTorch": torch.__version__}
    put(name, environment=facts | {package: version(package) for package in packages})
    if name == "copy":
        return copy()
    first = True
    for case in cases:
        about = {"width": case.width, "length": case.length, "batch": case.batch, "pass": case.mode}
        try:
            call = prepared(name, case)
            start = time.monotonic()
            call()
            torch.cuda.synchronize()
            seconds = time.monotonic() - start
            put(name, **about, milliseconds=measure(call, rounds), compile_seconds=seconds, first=first)
            first = False
        except Exception:
            put(name, **about, failed=traceback.format_exc(limit=0))
        call = None
        torch.cuda.empty_cache()
    try:
        put(name, errors=accuracy(name))
    except Exception:
        put(name, accuracy_failed=traceback.format_exc(limit=0))
