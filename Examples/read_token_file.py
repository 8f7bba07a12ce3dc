#!/usr/bin/env python3
"""Reads a token file that `power data build` wrote: the documents as NumPy arrays, without loading the file.

    power data build novels/ -o novels.tokens --held-out 1
    python3 read_token_file.py novels.tokens
"""
import struct
import sys
import zlib

import numpy as np


def read(path):
    """The name of the tokenizer, and a list of (tokens, held out) in the order of the file."""
    with open(path, "rb") as file:
        header = file.read(128)
    magic, version, size, tokens, documents, _, table_crc, name = struct.unpack("<8sIIQQQII", header[:48])
    assert magic == b"PWRTOKEN" and version == 1, "not a token file of version 1"
    assert struct.unpack("<I", header[124:])[0] == zlib.crc32(header[:124]), "damaged header"
    data = np.memmap(path, dtype=f"<u{size}", mode="r", offset=128, shape=tokens)
    table = np.fromfile(path, dtype="<u8", offset=(128 + tokens * size + 7) // 8 * 8, count=documents)
    assert zlib.crc32(table.tobytes()) == table_crc, "damaged document table"
    ends = [0, *(table >> 1).tolist()]
    parts = [(data[ends[i] : ends[i + 1]], bool(table[i] & 1)) for i in range(documents)]
    return header[48 : 48 + name].decode(), parts


if __name__ == "__main__":
    tokenizer, parts = read(sys.argv[1])
    for number, (tokens, held_out) in enumerate(parts):
        part = "held out" if held_out else "training"
        print(f"document {number}: {part}, {len(tokens)} tokens of {tokenizer}, from {tokens[:8].tolist()}")
