"""Results as lines of JSON, and the Markdown that is made of them. Needs nothing besides Python."""

import json

from cases import NAMES, OURS, TITLES, Case


ACCURACY_CASE = "batch 1, 2,048 tokens, 4 heads, d = 64"


def parse(text: str) -> list[dict]:
    """The results among the lines of a program's output; other lines are passed over."""
    results = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and "name" in value:
            results.append(value)
    return results


def key(result: dict) -> Case:
    return Case(result["width"], result["length"], result["batch"], result["pass"])


def place(log: str) -> str:
    """Where a program was by the last line of its log that has a time, as `phases.py` writes it."""
    lines = [line for line in log.splitlines() if line.startswith("[") and "s] " in line]
    return f": {lines[-1]}" if lines else ""


def reason(text: str) -> str:
    """The last line of an error that says something, short enough for a cell."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = (lines[-1] if lines else "no reason given").replace("|", "/")
    return line if len(line) <= 100 else line[:97] + "..."


def cell(result: dict | None, ours: dict | None) -> str:
    """Milliseconds, and in brackets how many times ours."""
    if result is None:
        return "–"
    if "failed" in result:
        return f"failed: {reason(result['failed'])}"
    time = result["milliseconds"]
    text = f"{time:.3g} ms"
    if result["name"] == OURS or ours is None or "milliseconds" not in ours:
        return text
    return f"{text} ({time / ours['milliseconds']:.2f}×)"


def table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns)] + rows
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def times(results: list[dict], cases: list[Case], names: list[str]) -> str:
    names = [name for name in NAMES if name in names and name != "copy"]
    found = {(result["name"], key(result)): result for result in results if "pass" in result}
    # A rival that failed before its first case says so once, for all of them.
    whole = {result["name"]: result for result in results if "failed" in result and "pass" not in result}
    rows = []
    for case in cases:
        ours = found.get((OURS, case))
        rows.append([case.title] + [cell(found.get((name, case), whole.get(name)), ours) for name in names])
    return table(["context, width"] + [TITLES[name] for name in names], rows)


def accuracy(results: list[dict]) -> str:
    """The errors ‖x − ref‖/‖ref‖ of everyone against their own definition in float64."""
    tensors = ["y", "dq", "dk", "dv", "dlog_g"]
    rows = []
    for result in results:
        if "errors" in result:
            rows.append([TITLES[result["name"]]] + [number(result["errors"].get(tensor)) for tensor in tensors])
        elif "accuracy_failed" in result:
            rows.append([TITLES[result["name"]], f"failed: {reason(result['accuracy_failed'])}"] + ["–"] * 4)
    return table([""] + tensors, rows) if rows else ""


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


def decoding(results: list[dict]) -> str:
    """How close decoding comes to the card's copy speed."""
    copy = next((result["gbytes_per_second"] for result in results if result["name"] == "copy" and "gbytes_per_second" in result), None)
    ours = next((result for result in results if result["name"] == OURS and result.get("pass") == "decode"), None)
    if not copy or not ours or "gbytes_per_second" not in ours:
        return ""
    rate = ours["gbytes_per_second"]
    return f"Decoding moves {rate:,.0f} GB/s, {rate / copy:.0%} of the card's copy speed of {copy:,.0f} GB/s.\n"


def page(results: list[dict], cases: list[Case], names: list[str]) -> str:
    """Everything: what it was measured on, times, decoding, accuracy."""
    facts: dict[str, str] = {}
    for result in results:
        facts |= result.get("environment", {})
        for fact in ["card", "driver", "commit"]:
            if result["name"] == OURS and fact in result:
                facts[fact] = result[fact]
    first = [
        f"{TITLES[result['name']]} {result['compile_seconds']:.1f} s"
        for result in results
        if "compile_seconds" in result and result.get("first")
    ]
    compiling = [result["compile_seconds"] for result in results if result["name"] == OURS and "compile_seconds" in result]
    if compiling:
        first.insert(0, f"{TITLES[OURS]} {max(compiling):.1f} s")
    errors = accuracy(results)
    parts = [
        ", ".join(f"{fact} {value}" for fact, value in facts.items()) + ".\n" if facts else "",
        "65,536 tokens in all, 8 heads, bfloat16; p = 2 and gates for power-attention and retention (chunks of 1,024 for the latter), "
        "gates for simple_gla. Medians, device time by events, second-level cache flushed before every run. In brackets the time over "
        "ours: above 1, ours is faster.\n",
        times(results, cases, names),
        decoding(results),
        f"First call: {', '.join(first)}.\n" if first else "",
        f"Errors ‖x − ref‖/‖ref‖ against each one's own definition in float64 ({ACCURACY_CASE}):\n\n{errors}" if errors else "",
    ]
    return "\n".join(part for part in parts if part)
