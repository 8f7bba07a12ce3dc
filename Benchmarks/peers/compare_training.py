#!/usr/bin/env python3
"""Times training steps of a 124M GPT: this package's, and PyTorch's with exponential attention and with `retention`, in one run on one GPU.

    python3 compare_training.py --power ../../.build/release/power
    python3 compare_training.py --power ../../.build/release/power --only power-attention --only cudnn --sizes 65536x1
    python3 compare_training.py --only retention --sizes 65536x1 --logs logs/
"""

import argparse
import json
import sys
import time
from pathlib import Path

import compare
import training_report
from cases import OURS
from training_report import NAMES

PEER = Path(__file__).with_name("train_peer.py")
OUR_TRAINING = Path(__file__).with_name("power_train.py")


def size(text: str) -> tuple[int, int]:
    """`65536x1`: the context, and the sequences of a step."""
    context, cross, sequences = text.partition("x")
    if not cross or not context.isdecimal() or not sequences.isdecimal() or int(context) < 1 or int(sequences) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} given, expected a context and a number of sequences such as 65536x1")
    return int(context), int(sequences)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--power", help="the built command; without it, this package is left out")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure nothing else; may be repeated")
    parser.add_argument("--skip", action="append", default=[], choices=NAMES, help="leave this out; may be repeated")
    parser.add_argument("--sizes", nargs="+", type=size, default=[(65_536, 1), (1_024, 64)], metavar="CONTEXTxSEQUENCES",
                        help="default: 65536x1 1024x64")
    parser.add_argument("--steps", type=int, default=20, help="counted steps of every measurement")
    parser.add_argument("--limit", type=float, default=480, help="seconds after which one measurement is stopped")
    parser.add_argument("--seconds", type=float, default=1_500, help="what is not done after this time is stopped and left out")
    parser.add_argument("--peer-options", default="", metavar="TEXT",
                        help="more options for train_peer.py, as '--compile whole --data linux.tokens'")
    parser.add_argument("--peak-tflops", type=float, default=989.4, help="what the card does at most")
    parser.add_argument("--json", metavar="FILE", help="write all results there, a line each")
    parser.add_argument("--logs", metavar="FOLDER", type=Path, help="keep what the programs say of their progress there")
    options = parser.parse_args(given)
    if options.steps < 1:
        parser.error(f"--steps: {options.steps} given, expected at least 1")
    return options


def command(name: str, context: int, sequences: int, options: argparse.Namespace) -> list[str]:
    shape = ["--context", str(context), "--sequences", str(sequences), "--steps", str(options.steps)]
    if name == OURS:
        return [sys.executable, str(OUR_TRAINING), "--power", options.power, *shape]
    return [sys.executable, str(PEER), name, *shape, "--peak-tflops", str(options.peak_tflops), *options.peer_options.split()]


def main() -> int:
    options = arguments()
    names = [name for name in NAMES if name in (options.only or NAMES) and name not in options.skip]
    names = [name for name in names if name != OURS or options.power]
    end = time.monotonic() + options.seconds
    results = []
    if options.logs:
        options.logs.mkdir(parents=True, exist_ok=True)
    # One rival at a time through all sizes: those that take minutes to start come last, whatever the size.
    for name in names:
        for context, sequences in options.sizes:
            deadline = min(end, time.monotonic() + options.limit)
            parse = training_report.parse_ours if name == OURS else compare.report.parse
            log = options.logs / f"{name}-{context}x{sequences}.log" if options.logs else None
            found = compare.run(name, command(name, context, sequences, options), deadline, parse, log)
            last = found[-1] if found else {"name": name, "failed": "printed no result"}
            # A program that says why it failed knows better than its last words.
            last = next((result for result in found if "failed" in result), last)
            results.append({"context": context, "sequences": sequences} | last)
            if options.json:
                Path(options.json).write_text("".join(json.dumps(result) + "\n" for result in results))
    print(training_report.page(results, options.peak_tflops))
    return 0


if __name__ == "__main__":
    sys.exit(main())
