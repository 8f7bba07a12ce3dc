#!/usr/bin/env python3
"""Checks `power apply` against an independent evaluation of power attention in float64 NumPy.

    pip install numpy safetensors ml_dtypes
    swift build -c release
    python3 Examples/check_against_numpy.py [--power .build/release/power] [--seed 0] [--random 20]

For a table of problems, and for some random ones, it writes q, k, v, dy (and log_g, cu_seqlens) to a safetensors file, runs
`power apply` on it, and compares y and every gradient as ||x - ref|| / ||ref||, on the same rounded inputs, with the limits of the
package: float32 1e-5; float16 1e-3 for y and 2e-3 for gradients; bfloat16 4e-3 and 1e-2; ten times as much for the gradient of the
gates, whose sums cancel. It also cuts sequences in two and hands the state over. Exits with 1 if anything is off.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np
from safetensors.numpy import load_file, save_file

TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
LIMITS = {"float32": (1e-5, 1e-5), "float16": (1e-3, 2e-3), "bfloat16": (4e-3, 1e-2)}


# --- The definition ---------------------------------------------------------------------------------------------------------


def one_head(q, k, v, log_g, dy, p, scale, normalize):
    """y and the gradients for q [t, d], k [t, d], v [t, e], log_g [t], dy [t, e]: every pair of tokens, in float64.

        a_ij = (scale q_i.k_j)^p exp(G_i - G_j)  for j <= i
        y_i = sum_j a_ij v_j / sum_j a_ij        (or without the divisor)
    """
    t = len(q)
    gate = np.exp(log_g)
    decay = np.zeros((t, t))  # exp(G_i - G_j), as products of gates: closed gates (-inf) make no NaN
    for i in range(t):
        decay[i, i] = 1
        decay[i, :i] = decay[i - 1, :i] * gate[i]
    s = scale * q @ k.T
    a = s**p * decay
    total = a.sum(1, keepdims=True) if normalize else np.ones((t, 1))
    inverse = np.divide(1, total, out=np.zeros_like(total), where=total != 0)
    y = a @ v * inverse
    dn = dy * inverse  # gradient of the weighted sum
    da = dn @ v.T - ((dn * y).sum(1, keepdims=True) if normalize else 0)
    ds = da * p * s ** (p - 1) * decay * scale
    # log_g[m] is in G_i - G_j for all j < m <= i.
    pairs = np.tril(da * a, -1)
    below = np.cumsum(pairs[::-1], 0)[::-1]  # sums over i >= m
    dlog_g = np.array([below[m, :m].sum() for m in range(t)])
    return y, {"dq": ds @ k, "dk": ds.T @ q, "dv": a.T @ dn, "dlog_g": dlog_g}


def reference(x, p, scale, normalize):
    """The definition for every sequence and head of q [b, t, hq, d], k [b, t, h, d], v [b, t, h, e]."""
    q, k, v, dy = (x[name].astype(np.float64) for name in ("q", "k", "v", "dy"))
    b, t, hq, d = q.shape
    h = k.shape[2]
    log_g = x["log_g"].astype(np.float64) if "log_g" in x else np.zeros((b, t, h))
    scale = scale or d**-0.5
    offsets = x.get("cu_seqlens", np.array([0, t]))
    out = {"y": np.zeros(dy.shape), "dq": np.zeros(q.shape), "dk": np.zeros(k.shape), "dv": np.zeros(v.shape)}
    out["dlog_g"] = np.zeros(log_g.shape)
    for entry in range(b):
        for start, end in zip(offsets, offsets[1:]):
            for head in range(hq):
                at, key = (entry, slice(start, end)), head // (hq // h)
                y, gradients = one_head(
                    q[at][:, head], k[at][:, key], v[at][:, key], log_g[at][:, key], dy[at][:, head], p, scale, normalize
                )
                out["y"][at][:, head] = y
                out["dq"][at][:, head] = gradients["dq"]
                for name in ("dk", "dv", "dlog_g"):
                    out[name][at][:, key] += gradients[name]
    return out


def check_the_reference(rng):
    """The gradients above against central differences of the y above."""
    for p, normalize in ((1, False), (2, True), (3, False), (4, True)):
        x = {"q": rng.normal(size=(4, 3)), "k": rng.normal(size=(4, 3)), "v": rng.normal(size=(4, 2))}
        x["log_g"], dy = -rng.uniform(0.1, 1, size=4), rng.normal(size=(4, 2))
        loss = lambda: (one_head(*x.values(), dy, p, 0.6, normalize)[0] * dy).sum()
        _, gradients = one_head(*x.values(), dy, p, 0.6, normalize)
        for name, value in x.items():
            for index in np.ndindex(value.shape):
                center, step = value[index], 1e-6
                value[index] = center + step
                above = loss()
                value[index] = center - step
                difference = (above - loss()) / (2 * step)
                value[index] = center
                assert abs(difference - gradients["d" + name][index]) < 1e-6 * (1 + abs(difference)), (p, name, index)


# --- The problems -----------------------------------------------------------------------------------------------------------


def problem(p, t, d, e=None, b=1, h=1, group=1, dtype="float32", gates="none", packed=None, split=None, **options):
    return dict(
        p=p, t=t, d=d, e=e or d, b=b, h=h, group=group, dtype=dtype, gates=gates, packed=packed, split=split, options=options
    )


def table():
    rows = []
    for p in (1, 2, 3, 4):
        rows.append(problem(p, t=100, d=16, h=2))
        rows.append(problem(p, t=150, d=12, e=20, h=2, group=2, gates="open", form="chunked", chunk_size=32))
        rows.append(problem(p, t=90, d=8, b=2, gates="open", form="attention"))
        rows.append(problem(p, t=90, d=8, h=2, gates="open", form="recurrent"))
        rows.append(problem(p, t=120, d=10, e=7, gates="open", packed=[0, 1, 40, 40, 120], tile=4))
        rows.append(problem(p, t=130, d=9, b=2, h=2, group=3, gates="open", split=70))
        for dtype in ("float16", "bfloat16"):
            rows.append(problem(p, t=110, d=16, h=2, group=2, gates="open", dtype=dtype, form="chunked", chunk_size=48))
    for p in (2, 4):
        rows.append(problem(p, t=100, d=16, gates="open", normalization="none"))
        rows.append(problem(p, t=100, d=8, gates="closing", scale=0.3))
    rows.append(problem(2, t=700, d=64, h=2, gates="open", form="chunked", chunk_size=128))
    rows.append(problem(2, t=300, d=128, e=64, gates="open", form="chunked", chunk_size=64, tile=8))
    rows.append(problem(2, t=300, d=64, h=2, gates="open", split=123, tile=4, dtype="bfloat16"))
    rows.append(problem(2, t=40, d=256, e=3))
    rows.append(problem(2, t=50, d=3, e=256, gates="open", form="chunked", chunk_size=1000))
    rows.append(problem(4, t=60, d=256, e=16))
    rows.append(problem(3, t=1, d=16, b=16, h=4, form="recurrent"))
    return rows


def random_problem(rng):
    p = int(rng.integers(1, 5))
    t, d = int(rng.integers(20, 260)), int(rng.integers(2, (65, 65, 33, 17)[p - 1]))
    form = str(rng.choice(["auto", "attention", "chunked", "recurrent"]))
    options = {"form": form, "tile": int(rng.integers(1, min(d, 8) + 1))}
    if form == "chunked":
        options["chunk_size"] = int(rng.integers(1, 2 * t))
    if p % 2 == 0 and rng.uniform() < 0.3:
        options["normalization"] = "none"
    return problem(
        p, t, d, e=int(rng.integers(1, 65)), b=int(rng.integers(1, 3)), h=int(rng.integers(1, 4)), group=int(rng.integers(1, 4)),
        dtype=str(rng.choice(["float32", "float32", "float16", "bfloat16"])), gates=str(rng.choice(["none", "open"])), **options
    )  # fmt: skip


def tensors(case, rng):
    b, t, h, dtype = case["b"], case["t"], case["h"], TYPES[case["dtype"]]
    x = {
        "q": rng.normal(size=(b, t, h * case["group"], case["d"])).astype(dtype),
        "k": rng.normal(size=(b, t, h, case["d"])).astype(dtype),
        "v": rng.normal(size=(b, t, h, case["e"])).astype(dtype),
        "dy": rng.normal(size=(b, t, h * case["group"], case["e"])).astype(dtype),
    }
    if case["gates"] != "none":
        x["log_g"] = np.log(rng.uniform(0.7, 1, size=(b, t, h))).astype(np.float32)
    if case["gates"] == "closing":
        x["log_g"][:, 40::40] = -np.inf
    if case["packed"]:
        x["cu_seqlens"] = np.array(case["packed"], np.int32)
    return x


# --- Running and comparing --------------------------------------------------------------------------------------------------


def power_apply(power, x, case, folder, *extra):
    source, target = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
    save_file({name: np.ascontiguousarray(value) for name, value in x.items()}, source)
    command = [power, "apply", source, "-o", target, "--degree", str(case["p"]), *extra]
    for name, value in case["options"].items():
        command += ["--" + name.replace("_", "-"), str(value)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{result.stderr}")
    return load_file(target)


def run(power, case, x, folder):
    """What `power apply` says, in one call or, where the problem has a split, in two with the state between them."""
    if case["split"] is None:
        return power_apply(power, x, case, folder)
    state = os.path.join(folder, "state.safetensors")
    first = power_apply(power, {n: a[:, : case["split"]] for n, a in x.items()}, case, folder, "--state-out", state)
    second = power_apply(power, {n: a[:, case["split"] :] for n, a in x.items()}, case, folder, "--state-in", state)
    # The first call does not know what the second does with its keys: only y and dq are those of the whole sequence.
    return {name: np.concatenate([first[name], second[name]], 1) for name in ("y", "dq")}


def error(x, ref):
    return np.linalg.norm(x.astype(np.float64) - ref) / (np.linalg.norm(ref) or 1)


def describe(case):
    words = [f"p={case['p']}", case["dtype"], f"b={case['b']} t={case['t']} hq={case['h'] * case['group']} h={case['h']}"]
    words += [f"d={case['d']} e={case['e']}"] + ([f"gates {case['gates']}"] if case["gates"] != "none" else [])
    words += ["packed"] * bool(case["packed"]) + [f"split at {case['split']}"] * bool(case["split"])
    return " ".join(words + [f"{name}={value}" for name, value in case["options"].items()])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--power", help="the executable; otherwise the one that `swift build -c release` has built")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", type=int, default=20, metavar="N", help="the number of random problems")
    arguments = parser.parse_args()
    power = arguments.power
    if power is None:
        built = subprocess.run(["swift", "build", "-c", "release", "--show-bin-path"], capture_output=True, text=True, check=True)
        power = os.path.join(built.stdout.strip(), "power")
    rng = np.random.default_rng(arguments.seed)
    check_the_reference(rng)
    cases = table() + [random_problem(rng) for _ in range(arguments.random)]
    width = max(len(describe(case)) for case in cases)
    names = ("y", "dq", "dk", "dv", "dlog_g")
    print(" " * width, *(f"{name:>8}" for name in names))
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            x = tensors(case, rng)
            normalize = case["options"].get("normalization", "none" if case["p"] % 2 else "sum") == "sum"
            ref = reference(x, case["p"], case["options"].get("scale"), normalize)
            out = run(power, case, x, folder)
            output_limit, gradient_limit = LIMITS[case["dtype"]]
            limits = dict.fromkeys(names, gradient_limit) | {"y": output_limit, "dlog_g": 10 * gradient_limit}
            expected = ("y", "dq") if case["split"] else names if "log_g" in x else names[:-1]
            types = {name: np.float32 if name == "dlog_g" else TYPES[case["dtype"]] for name in expected}
            errors = {name: error(out[name], ref[name]) for name in expected}
            fine = set(out) == set(expected) and all(out[n].dtype == types[n] and errors[n] <= limits[n] for n in expected)
            failures += not fine
            cells = (f"{errors[name]:8.1e}" if name in errors else " " * 8 for name in names)
            print(f"{describe(case):{width}}", *cells, "" if fine else "  MISS")
    print(f"{len(cases) - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
