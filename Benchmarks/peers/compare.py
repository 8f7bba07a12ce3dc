#!/usr/bin/env python3
"""Runs the rivals of power attention and this package on one GPU and prints a table of times with ratios, and of errors.

    python3 compare.py --power ../../.build/release/power
    python3 compare.py --power ../../.build/release/power --skip retention --rounds 10
    python3 compare.py --only flash --only cudnn --cases "d = 128"
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import report
from cases import CHUNK, HEADS, NAMES, OURS, TOKENS, Case, cases


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--power", help="the built command; without it, this package is left out")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure nothing else; may be repeated")
    parser.add_argument("--skip", action="append", default=[], choices=NAMES, help="leave this out; may be repeated")
    parser.add_argument("--cases", default="", help="only cases whose name contains this text")
    parser.add_argument("--rounds", type=int, default=20, help="counted runs of every measurement")
    parser.add_argument("--seconds", type=float, default=900, help="what is not done after this time is stopped and left out")
    parser.add_argument("--json", metavar="FILE", help="write all results there, a line each")
    parser.add_argument("--worker", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} given, expected at least 1")
    if not cases(options.cases):
        parser.error(f"--cases: no case contains {options.cases!r}; there are: {'; '.join(case.title for case in cases())}")
    return options


def stop(process: subprocess.Popen) -> None:
    """Ends a program and those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(name: str, command: list[str], deadline: float, parse=report.parse, log_path: Path | None = None) -> list[dict]:
    """The results that a program prints until it ends or time is up, and why it ended if it failed.

    Its log is kept in a file, if one is named.
    """
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        return [{"name": name, "failed": "not started, out of time"}]
    print(f"{name} ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    with log_path.open("w+") if log_path else tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        except OSError as error:
            return [{"name": name, "failed": str(error)}]
        timer = threading.Timer(remaining, stop, [process])
        timer.start()
        output, _ = process.communicate()
        in_time = timer.is_alive()
        timer.cancel()
        errors.seek(0)
        log = errors.read()
    print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    results = parse(output)
    if not in_time:
        results.append({"name": name, "failed": f"stopped, out of time{report.place(log)}"})
    elif process.returncode != 0:
        results.append({"name": name, "failed": report.reason(log) if log.strip() else f"exit status {process.returncode}"})
    return results


def ours(power: str, cases: list[Case], rounds: int, deadline: float) -> list[dict]:
    """This package's times, one run of `power bench op` for each width, and one for decoding."""
    results = []
    base = [power, "bench", "op", "--device", "cuda", "--json", "--heads", str(HEADS), "--dtype", "bfloat16", "--rounds", str(rounds)]
    for width in sorted({case.width for case in cases}):
        some = [case for case in cases if case.width == width]
        modes = [mode for mode in ["forward", "both"] if any(case.mode == mode for case in some)]
        lengths = sorted({case.length for case in some if case.mode != "decode"}, reverse=True)
        if lengths:
            command = base + ["--width", str(width), "--tokens", str(TOKENS), "--context", *map(str, lengths), "--pass", *modes]
            results += run(OURS, command, deadline)
        for batch in sorted({case.batch for case in some if case.mode == "decode"}):
            results += run(OURS, base + ["--width", str(width), "--batch", str(batch), "--pass", "decode"], deadline)
    return results


def our_accuracy(power: str, deadline: float) -> list[dict]:
    """This package's errors, through files: the same numbers and the same definition as the rivals'."""
    import torch
    from safetensors.torch import load_file, save_file

    import rivals

    tensors = rivals.inputs(1, 2_048, 4, 64, gate=0.05)
    exact = {name: x.double() for name, x in tensors.items()}
    reference = rivals.gradients(lambda **leaves: rivals.definition(OURS, **leaves), exact)
    with tempfile.TemporaryDirectory() as folder:
        (given, found) = (str(Path(folder) / name) for name in ["in.safetensors", "out.safetensors"])
        save_file({name: x.cpu().contiguous() for name, x in tensors.items()}, given)
        command = [power, "apply", given, "-o", found, "--device", "cuda", "--degree", "2", "--form", "chunked"]
        failures = run(OURS, command + ["--chunk-size", str(CHUNK)], deadline)
        if failures:
            return [{"name": OURS, "accuracy_failed": failures[-1]["failed"]}]
        answer = load_file(found, device="cuda")
    torch.cuda.empty_cache()
    return [{"name": OURS, "errors": {name: rivals.error(answer[name], reference[name]) for name in reference}}]


def main() -> int:
    options = arguments()
    chosen = cases(options.cases)
    if options.worker:
        import worker

        worker.work(options.worker, chosen, options.rounds)
        return 0
    names = [name for name in options.only or NAMES if name not in options.skip and (name != OURS or options.power)]
    deadline = time.monotonic() + options.seconds
    results = []
    for name in NAMES:
        if name == OURS and name in names:
            results += ours(options.power, chosen, options.rounds, deadline)
            try:
                results += our_accuracy(options.power, deadline)
            except Exception as error:
                results.append({"name": OURS, "accuracy_failed": str(error)})
        elif name in names:
            command = [sys.executable, __file__, "--worker", name, "--cases", options.cases, "--rounds", str(options.rounds)]
            results += run(name, command, deadline)
    if options.json:
        Path(options.json).write_text("".join(json.dumps(result) + "\n" for result in results))
    print(report.page(results, chosen, names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
