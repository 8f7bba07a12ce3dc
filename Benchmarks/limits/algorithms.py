#!/usr/bin/env python3
"""What each of the algorithms that cuBLASLt offers takes for the products of a training step of the 124M model at 65,536 tokens, with their
epilogues, while the card is at its power cap.

    python3 algorithms.py
    python3 algorithms.py --only up --only down --seconds 0.5

A row has the first offer, the one that the package takes (ProductChoice.swift), and the best; the last row is the sum over a step. Queries, keys and
values, "joined", and the logits are products of the package's own on Hopper, which do more; here they are plain ones.
"""

import argparse
import ctypes
import glob
import statistics
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

TOKENS, LAYERS, WIDTH, HIDDEN, VOCABULARY, JOINED, PARTS = 65_536, 12, 768, 3072, 50_304, 2368, 3
WORKSPACE_BYTES, OFFERS, OFFER_WORDS = 128 << 20, 64, 12
GELU, GELU_GRADIENT = 160, 192
SMALL_TILE = 128 * 160
# CUBLAS_COMPUTE_32F, with factors in CUDA_R_32F.
COMPUTE, FACTOR = 68, 0
# What cuBLASLt calls the types, attributes of a product, and a limit of the workspace.
TYPES = {torch.bfloat16: 14, torch.float32: 0}
TRANSPOSED_FIRST, TRANSPOSED_SECOND, EPILOGUE, AUXILIARY, AUXILIARY_STRIDE = 3, 4, 7, 11, 12

HALF, FULL = torch.bfloat16, torch.float32
ROWS = TOKENS // PARTS + 1
# Name, m, n, k, whether A and B are stored transposed, the result's type, epilogue, whether C is added to, how often in a step.
PRODUCTS = [
    ("joined", TOKENS, JOINED, WIDTH, False, True, HALF, None, False, LAYERS),
    ("output", TOKENS, WIDTH, WIDTH, False, True, HALF, None, True, LAYERS),
    ("up, GELU", TOKENS, HIDDEN, WIDTH, False, True, HALF, GELU, False, LAYERS),
    ("down", TOKENS, WIDTH, HIDDEN, False, True, HALF, None, True, LAYERS),
    ("down's input, GELU's derivative", TOKENS, HIDDEN, WIDTH, False, False, HALF, GELU_GRADIENT, False, LAYERS),
    ("the same without", TOKENS, HIDDEN, WIDTH, False, False, HALF, None, False, 0),
    ("up's input", TOKENS, WIDTH, HIDDEN, False, False, HALF, None, False, LAYERS),
    ("output's input", TOKENS, WIDTH, WIDTH, False, False, HALF, None, False, LAYERS),
    ("joined's input", TOKENS, WIDTH, JOINED, False, False, HALF, None, False, LAYERS),
    ("up's weight", HIDDEN, WIDTH, TOKENS, True, False, FULL, None, False, LAYERS),
    ("down's weight", WIDTH, HIDDEN, TOKENS, True, False, FULL, None, False, LAYERS),
    ("output's weight", WIDTH, WIDTH, TOKENS, True, False, FULL, None, False, LAYERS),
    ("joined's weight", JOINED, WIDTH, TOKENS, True, False, FULL, None, False, LAYERS),
    ("logits", ROWS, VOCABULARY, WIDTH, False, True, HALF, None, False, PARTS),
    ("logits' input", ROWS, WIDTH, VOCABULARY, False, False, HALF, None, False, PARTS),
    ("logits' weight", VOCABULARY, WIDTH, ROWS, True, False, FULL, None, True, PARTS),
]


def load() -> ctypes.CDLL:
    """The library that PyTorch came with."""
    folder = Path(torch.__file__).parent.parent / "nvidia"
    library = ctypes.CDLL(glob.glob(f"{folder}/*/lib/libcublasLt.so*")[0])
    pointer = ctypes.c_void_p
    library.cublasLtMatrixLayoutCreate.argtypes = [pointer, ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int64]
    library.cublasLtMatmul.argtypes = [pointer] * 14 + [ctypes.c_size_t, pointer]
    return library


def check(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLASLt: status {status}")


class Product:
    """C = A·B in rows; the library takes columns, so B goes first (ProductPlan.swift)."""

    def __init__(self, library, handle, workspace, m, n, k, transposes_a, transposes_b, output, epilogue, adds):
        self.library, self.handle, self.workspace = library, handle, workspace
        self.flops, self.beta, self.output = 2 * m * n * k, 1.0 if adds else 0.0, output
        stored_a, stored_b = (k, m) if transposes_a else (m, k), (n, k) if transposes_b else (k, n)
        self.a, self.b = (torch.randn(*shape, device="cuda", dtype=HALF) for shape in (stored_a, stored_b))
        self.c = torch.zeros(m, n, device="cuda", dtype=output)
        self.auxiliary = torch.randn(m, n, device="cuda", dtype=HALF) if epilogue else None
        self.product = ctypes.c_void_p()
        check(library.cublasLtMatmulDescCreate(ctypes.byref(self.product), COMPUTE, FACTOR))
        self.layouts = [self.layout(stored_b, HALF), self.layout(stored_a, HALF), self.layout((m, n), output)]
        self.set(TRANSPOSED_FIRST, ctypes.c_int(int(transposes_b)))
        self.set(TRANSPOSED_SECOND, ctypes.c_int(int(transposes_a)))
        if epilogue:
            self.set(EPILOGUE, ctypes.c_uint32(epilogue))
            self.set(AUXILIARY_STRIDE, ctypes.c_int64(n))
            self.set(AUXILIARY, ctypes.c_uint64(self.auxiliary.data_ptr()))
        self.offers, self.waves = self.ask()
        self.taken = self.choose(m * n, k, output)

    def layout(self, shape, dtype):
        layout = ctypes.c_void_p()
        check(self.library.cublasLtMatrixLayoutCreate(ctypes.byref(layout), TYPES[dtype], shape[1], shape[0], shape[1]))
        return layout

    def set(self, attribute, value):
        size = ctypes.c_size_t(ctypes.sizeof(value))
        check(self.library.cublasLtMatmulDescSetAttribute(self.product, attribute, ctypes.byref(value), size))

    def ask(self):
        """The algorithms, and how often each fills the card with blocks."""
        preference, size = ctypes.c_void_p(), ctypes.c_uint64(WORKSPACE_BYTES)
        check(self.library.cublasLtMatmulPreferenceCreate(ctypes.byref(preference)))
        check(self.library.cublasLtMatmulPreferenceSetAttribute(preference, 1, ctypes.byref(size), ctypes.c_size_t(8)))
        words, count = (ctypes.c_uint64 * (OFFER_WORDS * OFFERS))(), ctypes.c_int()
        first, second, result = self.layouts
        check(
            self.library.cublasLtMatmulAlgoGetHeuristic(
                self.handle, self.product, first, second, result, result, preference, OFFERS, words, ctypes.byref(count)
            )
        )
        check(self.library.cublasLtMatmulPreferenceDestroy(preference))
        offers = [list(words[OFFER_WORDS * n : OFFER_WORDS * (n + 1)]) for n in range(count.value)]
        usable = [offer for offer in offers if offer[9] & 0xFFFFFFFF == 0]
        return usable, [struct.unpack("f", struct.pack("I", offer[9] >> 32))[0] for offer in usable]

    def choose(self, results, k, output) -> int:
        """As ProductChoice does, among eight: of many short sums in 16 bits the largest of the small tiles, else the first."""
        waves, multiprocessors = self.waves[:8], torch.cuda.get_device_properties(0).multi_processor_count
        if output != HALF or k > 3072 or results < 8 * SMALL_TILE * multiprocessors:
            return 0
        small = [n for n in range(len(waves)) if results <= waves[n] * SMALL_TILE * multiprocessors]
        return min(small, key=lambda n: waves[n]) if small else max(range(len(waves)), key=lambda n: waves[n])

    def run(self, offer: int, count: int) -> None:
        words = (ctypes.c_uint64 * OFFER_WORDS)(*self.offers[offer])
        alpha, beta = ctypes.c_float(1), ctypes.c_float(self.beta)
        first, second, result = self.layouts
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        for _ in range(count):
            check(
                self.library.cublasLtMatmul(
                    self.handle, self.product, ctypes.byref(alpha), self.b.data_ptr(), first, self.a.data_ptr(), second,
                    ctypes.byref(beta), self.c.data_ptr(), result, self.c.data_ptr(), result, words,
                    self.workspace.data_ptr(), WORKSPACE_BYTES, stream,
                )
            )

    def milliseconds(self, offer: int, seconds: float) -> float:
        """Of one among as many as take so long, of the second half of them."""
        return self.timed(offer, max(int(seconds * 550e12 / self.flops / 2), 4))

    def timed(self, offer: int, count: int) -> float:
        """Milliseconds of one among so many, after as many that are not timed."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.run(offer, count)
        start.record()
        self.run(offer, count)
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / count

    def medians(self, offers: Iterable[int], rounds: int, seconds: float) -> dict[int, float]:
        """Milliseconds of several, in turns."""
        measured = [{n: self.milliseconds(n, seconds) for n in offers} for _ in range(rounds)]
        return {n: statistics.median(one[n] for one in measured) for n in measured[0]}


def heat(seconds: float) -> None:
    square = torch.randn(8192, 8192, device="cuda", dtype=HALF)
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        square @ square
        torch.cuda.synchronize()


def options(description: str, seconds: float, meaning: str) -> argparse.Namespace:
    """Those of a command that takes products of a step one by one; `meaning` says what `--seconds` are."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="products whose name contains this text; may be repeated")
    parser.add_argument("--seconds", type=float, default=seconds, help=meaning)
    return parser.parse_args()


def products(only: list[str]) -> Iterator[tuple[str, int, Product]]:
    """The name, how often in a step, and the product, of all or of those whose name contains one of the texts; one exists at a time."""
    library, handle = load(), ctypes.c_void_p()
    check(library.cublasLtCreate(ctypes.byref(handle)))
    workspace = torch.empty(WORKSPACE_BYTES, device="cuda", dtype=torch.uint8)
    for name, *shape, times in PRODUCTS:
        if not only or any(text in name for text in only):
            yield name, times, Product(library, handle, workspace, *shape)
            torch.cuda.empty_cache()


def main() -> None:
    given = options(__doc__, 0.12, "how long each algorithm runs at once")
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}\n")
    print("| product | offers | first, ms | taken, ms | TFLOP/s | best, ms | TFLOP/s |\n|---|---|---|---|---|---|---|")
    heat(1.5)
    sums = [0.0, 0.0, 0.0]
    for name, times, product in products(given.only):
        once = {n: product.milliseconds(n, given.seconds) for n in range(len(product.offers))}
        # The fastest again, in turns with the others of the row.
        medians = product.medians({0, product.taken, *sorted(once, key=once.get)[:4]}, 4, given.seconds)
        row = [medians[0], medians[product.taken], min(medians.values())]
        taken, best = (product.flops / time / 1e9 for time in row[1:])
        print(f"| {name} | {len(once)} | {row[0]:.3f} | {row[1]:.3f} | {taken:.0f} | {row[2]:.3f} | {best:.0f} |", flush=True)
        sums = [total + times * time for total, time in zip(sums, row)]
        del product
    print("| a step | | {:.1f} | {:.1f} | | {:.1f} | |".format(*sums))


if __name__ == "__main__":
    main()
