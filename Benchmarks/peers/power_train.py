#!/usr/bin/env python3
"""Times training steps of this package's 124M GPT on one GPU by `power train`, and prints a line of JSON.

    python3 power_train.py --power ../../.build/release/power --context 65536 --sequences 1 --steps 20

The tokens are those of the novels that come with the package; a step takes as long whatever they say.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

# Steps that are not counted: the first compiles and is recorded, results are read a step late.
WARMUP = 5


def command(power: str, context: int, sequences: int, steps: int, folder: Path) -> list[str]:
    model = ["--tokenizer", "gpt2", "--layers", "12", "--width", "768", "--heads", "12", "--mixer", "power", "--degree", "2"]
    shape = ["--context", str(context), "--batch-size", str(sequences), "--steps", str(steps)]
    return [power, "train", "--device", "cuda", "--data", "austen", *model, *shape, "-o", str(folder)]


def summary(records: list[dict], tokens: int) -> dict:
    """What the lines of `metrics.jsonl` say of the counted steps; the last one is followed by held-out losses and a checkpoint.

    A step that was skipped has a line without a rate.
    """
    records = [record for record in records if "tokens_per_second" in record]
    rate = statistics.median(record["tokens_per_second"] for record in records[WARMUP:-1])
    return {
        "tokens_per_second": rate,
        "ms_per_step": tokens / rate * 1e3,
        "peak_memory_bytes": max(record["memory"] for record in records),
        "first_loss": records[0]["loss"],
        "last_loss": records[-1]["loss"],
        "first_step_seconds": records[0]["seconds"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--power", required=True, help="the built command")
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--sequences", type=int, required=True)
    parser.add_argument("--steps", type=int, default=20, help="counted steps")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        steps = WARMUP + options.steps + 1
        process = subprocess.run(
            command(options.power, options.context, options.sequences, steps, run), stdout=subprocess.DEVNULL)
        if process.returncode != 0:
            return process.returncode
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    print(json.dumps(summary(records, options.context * options.sequences)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
