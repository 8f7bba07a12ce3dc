#!/usr/bin/env python3
"""What a training step of the 124M model at 65,536 tokens can be made of: the parts that decide it, each alone for some seconds, with the clock
and the power that the card ends at.

    python3 step.py --power ../../.build/release/power

The products are those of a step without their epilogues, in bfloat16, by the cuBLASLt of PyTorch, those that the package multiplies itself among
them; attention is 12 layers of `power bench op`, forward and backward; copies move as many bytes as the rest of a step does. FLOPs are the model's,
as `power flops` counts them for attention. Last stands what the products would take at the rate of a large square one, the most that the library
reaches at that power.
"""

import argparse
import json
import subprocess
import time

import torch

from algorithms import LAYERS, PRODUCTS

HEADS = 12
# Bytes that neither products nor attention move: normalizations 14 GB, AdamW 3.7, others 2.3 (ncu).
OTHER_BYTES = 20e9


def shapes() -> list[tuple[int, int, int, bool, bool, int]]:
    """(m, n, k, whether A and B are stored transposed, how often in a step) of every product."""
    return [(*shape, times) for _, *shape, _, _, _, times in PRODUCTS if times > 0]


class Meter:
    """The card's clock and power while something runs: medians of the second half of the samples."""

    def __enter__(self):
        query = ["nvidia-smi", "--query-gpu=clocks.sm,power.draw", "--format=csv,noheader,nounits", "-lms", "50"]
        self.process = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        lines = [line.split(",") for line in self.process.communicate()[0].splitlines() if line.count(",") == 1]
        late = lines[len(lines) // 2 :]
        self.clock, self.watts = (sorted(float(line[n]) for line in late)[len(late) // 2] for n in (0, 1))


def seconds_of(run, seconds: float) -> tuple[float, Meter]:
    """The seconds of a run among as many as take so long, of the second half of them."""
    run()
    torch.cuda.synchronize()
    with Meter() as meter:
        start, times = time.monotonic(), []
        while time.monotonic() - start < seconds:
            before = time.monotonic()
            run()
            torch.cuda.synchronize()
            times.append(time.monotonic() - before)
    late = sorted(times[len(times) // 2 :])
    return late[len(late) // 2], meter


def products(sizes: list[tuple[int, int, int, bool, bool, int]], seconds: float) -> tuple[float, Meter, float]:
    def matrix(rows, columns, is_transposed=False):
        rows, columns = (columns, rows) if is_transposed else (rows, columns)
        stored = torch.randn(rows, columns, device="cuda", dtype=torch.bfloat16)
        return stored.t() if is_transposed else stored

    work = [(matrix(m, k, first), matrix(k, n, second), matrix(m, n), count) for m, n, k, first, second, count in sizes]

    def step():
        for a, b, c, count in work:
            for _ in range(count):
                torch.mm(a, b, out=c)

    return *seconds_of(step, seconds), float(sum(2 * m * n * k * count for m, n, k, *_, count in sizes))


def copies(seconds: float) -> tuple[float, Meter, float]:
    source, destination = (torch.empty(1 << 30, device="cuda", dtype=torch.uint8) for _ in range(2))

    def step():
        for _ in range(round(OTHER_BYTES / 2 / source.numel())):
            destination.copy_(source)

    return *seconds_of(step, seconds), 0.0


def attention(power: str, seconds: float) -> tuple[float, Meter, float]:
    command = [power, "bench", "op", "--device", "cuda", "--heads", str(HEADS), "--pass", "both", "--json", "--rounds"]
    alone = json.loads(subprocess.run([*command, "5"], check=True, capture_output=True, text=True).stdout)
    calls = round(seconds / 4 / alone["milliseconds"] * 1e3)
    with Meter() as meter:
        run = subprocess.run([*command, "3", "--calls", str(calls)], check=True, capture_output=True, text=True)
    line = json.loads(run.stdout)
    return LAYERS * line["milliseconds"] / 1e3, meter, LAYERS * line["flops"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--power", required=True, help="the built command")
    parser.add_argument("--seconds", type=float, default=8, help="how long each part runs")
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}\n")
    print("| part | ms a step | TFLOP/s | clock, MHz | power, W |\n|---|---|---|---|---|")

    def row(name: str, spent: float, meter: Meter, flops: float) -> float:
        rate = f"{flops / spent / 1e12:.0f}" if flops else "–"
        print(f"| {name} | {1e3 * spent:.1f} | {rate} | {meter.clock:.0f} | {meter.watts:.0f} |", flush=True)
        return spent

    measured = products(shapes(), options.seconds)
    total = row("products, by PyTorch's cuBLASLt", *measured)
    total += row(f"attention, {LAYERS} layers of {HEADS} heads", *attention(options.power, options.seconds))
    total += row(f"copies of {OTHER_BYTES / 1e9:.0f} GB", *copies(options.seconds))
    print(f"| together | {1e3 * total:.1f} | | | |")
    flops = measured[2]
    side, calls = 8192, 50
    spent, meter, square = products([(side, side, side, False, False, calls)], options.seconds)
    row(f"products at the rate of {side} × {side} × {side}", spent * flops / square, meter, flops)


if __name__ == "__main__":
    main()
