#!/usr/bin/env python3
"""What cuBLASLt could do for the products of a training step (algorithms.py) with any of its kernels, not only with those that it offers: all of
its algorithms with all tiles, stages and clusters of up to four blocks that it accepts for the product, and its offers with other clusters.

    python3 configurations.py
    python3 configurations.py --only up --seconds 20

Each is timed once while the card is cool; then the fastest six, and the fastest three offers, in turns at the power cap. A row has how many
there are, the fastest offer, and the fastest of all with its tile (`cublasLtMatmulTile_t`) and cluster; the last row is the sum over a step.
"""

import argparse
import ctypes
import statistics
import time

import torch

from algorithms import PRODUCTS, TYPES, WORKSPACE_BYTES, HALF, Product, check, heat, load

# Attributes of an algorithm that are set, with their bytes, and two that it tells.
ATTRIBUTES = {"tile": (1, 4), "split": (2, 4), "swizzle": (4, 4), "custom": (5, 4), "stages": (6, 4), "cluster": (8, 2)}
TILES, STAGES, MOST_CUSTOM = 6, 13, 7
# CUBLASLT_CLUSTER_SHAPE_AUTO, and 1x1, 2x1, 1x2, 2x2, 4x1, 1x4.
CLUSTERS = (0, 2, 3, 5, 6, 4, 8)


class Search:
    """The configurations of the library for one product, each as the words of an offer."""

    def __init__(self, product: Product, output: torch.dtype):
        self.product, self.output, self.seen = product, output, set()

    def told(self, algorithm, attribute: int) -> list[int]:
        numbers, written = (ctypes.c_uint32 * 1024)(), ctypes.c_size_t()
        status = self.product.library.cublasLtMatmulAlgoCapGetAttribute(
            algorithm, attribute, numbers, ctypes.c_size_t(ctypes.sizeof(numbers)), ctypes.byref(written)
        )
        return [] if status else list(numbers[: written.value // 4])

    def value(self, algorithm, name: str) -> int:
        (attribute, size), value, written = ATTRIBUTES[name], ctypes.c_uint32(), ctypes.c_size_t()
        check(
            self.product.library.cublasLtMatmulAlgoConfigGetAttribute(
                algorithm, attribute, ctypes.byref(value), ctypes.c_size_t(size), ctypes.byref(written)
            )
        )
        return value.value

    def configured(self, algorithm, **values: int) -> list[int] | None:
        """A copy with these attributes, if the library accepts it and it is new."""
        library, product = self.product.library, self.product
        words = (ctypes.c_uint64 * 8)(*algorithm[:8])
        for name, value in values.items():
            attribute, size = ATTRIBUTES[name]
            number = ctypes.c_uint32(value)
            if library.cublasLtMatmulAlgoConfigSetAttribute(words, attribute, ctypes.byref(number), ctypes.c_size_t(size)):
                return None
        result, (first, second, output) = (ctypes.c_uint64 * 12)(), product.layouts
        if library.cublasLtMatmulAlgoCheck(product.handle, product.product, first, second, output, output, words, result):
            return None
        # Word 8 is the workspace.
        if result[8] > WORKSPACE_BYTES or tuple(words) in self.seen:
            return None
        self.seen.add(tuple(words))
        return list(words) + [0] * 4

    def all(self):
        library, product = self.product.library, self.product
        for offer in list(product.offers):
            words = (ctypes.c_uint64 * 8)(*offer[:8])
            for swizzle in (0, 1):
                for custom in {self.value(words, "custom"), *range(min((self.told(words, MOST_CUSTOM) or [0])[0], 3) + 1)}:
                    for cluster in CLUSTERS:
                        yield self.configured(words, swizzle=swizzle, custom=custom, cluster=cluster)
        types = [68, 0, TYPES[HALF], TYPES[HALF], TYPES[self.output], TYPES[self.output]]
        numbers, count = (ctypes.c_int * 256)(), ctypes.c_int()
        check(library.cublasLtMatmulAlgoGetIds(product.handle, *types, 256, numbers, ctypes.byref(count)))
        for number in sorted(numbers[: count.value], reverse=True):
            words = (ctypes.c_uint64 * 8)()
            if library.cublasLtMatmulAlgoInit(product.handle, *types, number, words):
                continue
            for tile in self.told(words, TILES) or [0]:
                for stages in self.told(words, STAGES) or [0]:
                    for cluster in CLUSTERS:
                        yield self.configured(words, tile=tile, stages=stages, cluster=cluster, split=1)


def once(product: Product, words: list[int]) -> float:
    product.offers.append(words)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    product.run(len(product.offers) - 1, 1)
    start.record()
    product.run(len(product.offers) - 1, 2)
    end.record()
    torch.cuda.synchronize()
    product.offers.pop()
    return start.elapsed_time(end) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="products whose name contains this text; may be repeated")
    parser.add_argument("--seconds", type=float, default=13, help="how long configurations of a product are looked for")
    options = parser.parse_args()
    library, handle = load(), ctypes.c_void_p()
    check(library.cublasLtCreate(ctypes.byref(handle)))
    workspace = torch.empty(WORKSPACE_BYTES, device="cuda", dtype=torch.uint8)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}\n")
    print("| product | configurations | best offer, ms | best of all, ms | its tile, cluster |\n|---|---|---|---|---|")
    sums = [0.0, 0.0]
    for name, *shape, times in PRODUCTS:
        if options.only and not any(text in name for text in options.only):
            continue
        product = Product(library, handle, workspace, *shape)
        search, found, start = Search(product, shape[5]), {}, time.monotonic()
        for words in search.all():
            if time.monotonic() - start > options.seconds:
                break
            if words:
                found[tuple(words)] = once(product, words)
        offers = range(len(product.offers))
        cool = {n: once(product, product.offers[n]) for n in offers}
        fastest = sorted(cool, key=cool.get)[:3]
        for words in sorted(found, key=found.get)[:6]:
            product.offers.append(list(words))
        heat(0.5)
        compared = [*fastest, *range(len(offers), len(product.offers))]
        rounds = [{n: product.milliseconds(n, 0.08) for n in compared} for _ in range(3)]
        medians = {n: statistics.median(one[n] for one in rounds) for n in compared}
        best = min(medians, key=medians.get)
        row = [min(medians[n] for n in fastest), medians[best]]
        words = (ctypes.c_uint64 * 8)(*product.offers[best][:8])
        kernel = f"{search.value(words, 'tile')}, {search.value(words, 'cluster')}"
        print(f"| {name} | {len(found)} | {row[0]:.3f} | {row[1]:.3f} | {kernel} |", flush=True)
        sums = [total + times * time for total, time in zip(sums, row)]
        del product, search
        torch.cuda.empty_cache()
    print("| a step | | {:.1f} | {:.1f} | |".format(*sums))


if __name__ == "__main__":
    main()
