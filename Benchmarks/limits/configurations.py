#!/usr/bin/env python3
"""What cuBLASLt could do for the products of a training step (algorithms.py) with any of its kernels, not only with those that it offers: all of
its algorithms with all tiles, stages and clusters of up to four blocks that it accepts for the product, and its offers with other clusters.

    python3 configurations.py
    python3 configurations.py --only up --seconds 20

Each is timed once while the card is cool; then the fastest six, and the fastest three offers, in turns at the power cap. A row has how many
there are, the fastest offer, and the fastest of all with its tile (`cublasLtMatmulTile_t`) and cluster; the last row is the sum over a step.
"""

import ctypes
import time

import torch

from algorithms import COMPUTE, FACTOR, HALF, OFFER_WORDS, TYPES, WORKSPACE_BYTES, Product, check, heat, options, products

# Attributes of an algorithm that are set, with their bytes, and two that it tells.
ATTRIBUTES = {"tile": (1, 4), "split": (2, 4), "swizzle": (4, 4), "custom": (5, 4), "stages": (6, 4), "cluster": (8, 2)}
TILES, STAGES, MOST_CUSTOM = 6, 13, 7
# CUBLASLT_CLUSTER_SHAPE_AUTO, and 1x1, 2x1, 1x2, 2x2, 4x1, 1x4.
CLUSTERS = (0, 2, 3, 5, 6, 4, 8)
# An offer begins with its algorithm.
ALGORITHM_WORDS = 8


def algorithm(words=()) -> ctypes.Array:
    return (ctypes.c_uint64 * ALGORITHM_WORDS)(*words[:ALGORITHM_WORDS])


class Search:
    """The configurations of the library for one product, each as the words of an offer."""

    def __init__(self, product: Product):
        self.product, self.seen = product, set()

    def told(self, words, attribute: int) -> list[int]:
        numbers, written = (ctypes.c_uint32 * 1024)(), ctypes.c_size_t()
        status = self.product.library.cublasLtMatmulAlgoCapGetAttribute(
            words, attribute, numbers, ctypes.c_size_t(ctypes.sizeof(numbers)), ctypes.byref(written)
        )
        return [] if status else list(numbers[: written.value // 4])

    def value(self, words, name: str) -> int:
        (attribute, size), value, written = ATTRIBUTES[name], ctypes.c_uint32(), ctypes.c_size_t()
        check(
            self.product.library.cublasLtMatmulAlgoConfigGetAttribute(
                words, attribute, ctypes.byref(value), ctypes.c_size_t(size), ctypes.byref(written)
            )
        )
        return value.value

    def configured(self, base, **values: int) -> list[int] | None:
        """A copy with these attributes, if the library accepts it and it is new."""
        library, product = self.product.library, self.product
        words = algorithm(base)
        for name, value in values.items():
            attribute, size = ATTRIBUTES[name]
            number = ctypes.c_uint32(value)
            if library.cublasLtMatmulAlgoConfigSetAttribute(words, attribute, ctypes.byref(number), ctypes.c_size_t(size)):
                return None
        result, (first, second, output) = (ctypes.c_uint64 * OFFER_WORDS)(), product.layouts
        if library.cublasLtMatmulAlgoCheck(product.handle, product.product, first, second, output, output, words, result):
            return None
        # Word 8 is the workspace.
        if result[8] > WORKSPACE_BYTES or tuple(words) in self.seen:
            return None
        self.seen.add(tuple(words))
        return list(words) + [0] * (OFFER_WORDS - ALGORITHM_WORDS)

    def all(self):
        library, product = self.product.library, self.product
        for offer in list(product.offers):
            words = algorithm(offer)
            for swizzle in (0, 1):
                for custom in {self.value(words, "custom"), *range(min((self.told(words, MOST_CUSTOM) or [0])[0], 3) + 1)}:
                    for cluster in CLUSTERS:
                        yield self.configured(words, swizzle=swizzle, custom=custom, cluster=cluster)
        types = [COMPUTE, FACTOR, TYPES[HALF], TYPES[HALF], TYPES[product.output], TYPES[product.output]]
        numbers, count = (ctypes.c_int * 256)(), ctypes.c_int()
        check(library.cublasLtMatmulAlgoGetIds(product.handle, *types, 256, numbers, ctypes.byref(count)))
        for number in sorted(numbers[: count.value], reverse=True):
            words = algorithm()
            if library.cublasLtMatmulAlgoInit(product.handle, *types, number, words):
                continue
            for tile in self.told(words, TILES) or [0]:
                for stages in self.told(words, STAGES) or [0]:
                    for cluster in CLUSTERS:
                        yield self.configured(words, tile=tile, stages=stages, cluster=cluster, split=1)


def cool(product: Product, words: list[int]) -> float:
    """Milliseconds of a configuration that is none of the offers."""
    product.offers.append(words)
    spent = product.timed(len(product.offers) - 1, 2)
    product.offers.pop()
    return spent


def main() -> None:
    given = options(__doc__, 13, "how long configurations of a product are looked for")
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}\n")
    print("| product | configurations | best offer, ms | best of all, ms | its tile, cluster |\n|---|---|---|---|---|")
    sums = [0.0, 0.0]
    for name, times, product in products(given.only):
        search, found, start = Search(product), {}, time.monotonic()
        for words in search.all():
            if time.monotonic() - start > given.seconds:
                break
            if words:
                found[tuple(words)] = cool(product, words)
        offers = range(len(product.offers))
        fastest = sorted(offers, key=lambda n: product.timed(n, 2))[:3]
        product.offers += [list(words) for words in sorted(found, key=found.get)[:6]]
        heat(0.5)
        medians = product.medians([*fastest, *range(len(offers), len(product.offers))], 3, 0.08)
        best = min(medians, key=medians.get)
        row = [min(medians[n] for n in fastest), medians[best]]
        words = algorithm(product.offers[best])
        kernel = f"{search.value(words, 'tile')}, {search.value(words, 'cluster')}"
        print(f"| {name} | {len(found)} | {row[0]:.3f} | {row[1]:.3f} | {kernel} |", flush=True)
        sums = [total + times * time for total, time in zip(sums, row)]
        del product, search
    print("| a step | | {:.1f} | {:.1f} | |".format(*sums))


if __name__ == "__main__":
    main()
