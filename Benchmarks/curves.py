#!/usr/bin/env python3
"""Draws the numbers of `power report --csv` for documents: the loss over the time of training, and along the context, as SVG, and prints both as tables.

    power report runs/power runs/exponential --csv csv
    python3 Benchmarks/curves.py csv Benchmarks/curves/linux
"""

import argparse
import csv
import math
from collections import defaultdict
from pathlib import Path

COLORS = ["#0b5fa5", "#d9730d", "#1a9a6c", "#6d1f52"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 56, 36, 34, 48


def read(path: Path, x: str, y: str) -> dict[str, list[tuple[float, float]]]:
    """The points of every run, in the order of the file."""
    points = defaultdict(list)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            points[row["run"]].append((float(row[x]), float(row[y])))
    return dict(points)


def svg(curves: dict[str, list[tuple[float, float]]], title: str, label: str, ticks: list[float], scale, low: float, high: float) -> str:
    """One chart; points above `high` are left out."""
    left, right = scale(ticks[0]), scale(ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (scale(x) - left) / (right - left)
        up = (min(max(y, low), high) - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#59616b">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#16191d">{title}</text>',
    ]
    step = 0.25 if high - low < 3 else 0.5
    for n in range(math.ceil(low / step), math.floor(high / step) + 1):
        y = place(ticks[0], n * step)[1]
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e3e6ea"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{n * step:.2f}</text>')
    for tick in ticks:
        x = place(tick, low)[0]
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:,.0f}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">{label}</text>')
    for n, (run, points) in enumerate(curves.items()):
        path = "L".join("{:.1f} {:.1f}".format(*place(x, y)) for x, y in points if ticks[0] <= x <= ticks[-1] and y <= high)
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLORS[n % len(COLORS)]}" stroke-width="2"/>')
        x = WIDTH - RIGHT - 150
        parts.append(f'<path d="M{x} {TOP + 12 + 18 * n}h24" stroke="{COLORS[n % len(COLORS)]}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 32}" y="{TOP + 16 + 18 * n}">{run}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def at(points: list[tuple[float, float]], x: float) -> str:
    """The last value up to x."""
    values = [value for place, value in points if place <= x]
    return f"{values[-1]:.3f}" if values else "–"


def table(head: str, curves: dict[str, list[tuple[float, float]]], places: list[float]) -> str:
    lines = [f"| {head} | " + " | ".join(curves) + " |", "|---" * (len(curves) + 1) + "|"]
    lines += [f"| {place:,.0f} | " + " | ".join(at(points, place) for points in curves.values()) + " |" for place in places]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, help="the folder that `power report --csv` wrote")
    parser.add_argument("output", help="what the names of the two drawings begin with")
    options = parser.parse_args()
    losses = read(options.csv / "metrics.csv", "seconds", "smoothed_loss")
    along = read(options.csv / "in_context.csv", "position_from", "loss")
    end = max(points[-1][0] for points in losses.values())
    seconds = [60 * n for n in range(0, math.ceil(end / 60) + 1, 2)]
    lowest = min(value for points in losses.values() for _, value in points)
    drawn = {run: points[:: max(len(points) // 400, 1)] for run, points in losses.items()}
    Path(options.output + "-loss.svg").write_text(
        svg(drawn, "Training loss, nats a token", "seconds of training", seconds, lambda x: x, math.floor(lowest * 4) / 4, 4))
    longest = max(points[-1][0] for points in along.values())
    positions = [2.0**n for n in range(0, math.ceil(math.log2(longest + 1)) + 1, 2)]
    lowest = min(value for points in along.values() for _, value in points)
    Path(options.output + "-context.svg").write_text(
        svg(along, "Held-out loss along the context, nats a token", "position", positions, math.log2, math.floor(lowest * 4) / 4, 6))
    print(table("seconds", losses, seconds[1:]))
    print()
    print(table("position", along, [2.0**n for n in range(4, math.ceil(math.log2(longest + 1)))]))


if __name__ == "__main__":
    main()
