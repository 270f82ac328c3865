"""Encodes raw inputs given as bytes: how the server's tests reach the trainer's
encoder, and the rows with their raw inputs that those tests keep.

Layout of the raw file, little endian: uint32 rows, then for each input of the
schema in its order: number inputs float64[rows]; text inputs uint32[rows]
lengths (0xFFFFFFFF: missing) and the bytes one after another; then for both
int64[rows] ages in nanoseconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import eventlog
from .join import join
from .schema import Inputs, Schema, Words

_MISSING = 0xFFFFFFFF


def read_raw(schema: Schema, data: bytes) -> tuple[dict, dict]:
    """Inputs and ages out of the layout above."""
    rows = int.from_bytes(data[:4], "little")
    at = 4
    inputs: dict = {}
    ages: dict = {}

    def array(kind: str, size: int) -> np.ndarray:
        nonlocal at
        out = np.frombuffer(data, kind, rows, at)
        at += size * rows
        return out

    for name, info in schema.inputs.items():
        if info.text:
            words: list[bytes | None] = []
            for length in array("<u4", 4):
                if length == _MISSING:
                    words.append(None)
                    continue
                words.append(data[at : at + int(length)])
                at += int(length)
            inputs[name] = Words.of(words)
        else:
            inputs[name] = array("<f8", 8)
        ages[name] = array("<i8", 8).astype(np.float64) / 1e9
    if at != len(data):
        raise ValueError(f"the raw file has {len(data)} bytes, {at} were expected: write it for this schema")
    return inputs, ages


def write_raw(schema: Schema, inputs: Inputs) -> bytes:
    """The layout above, of inputs that are all of age 0."""
    rows = len(next(iter(inputs.values())))
    out = [rows.to_bytes(4, "little")]
    for name, info in schema.inputs.items():
        value = inputs[name]
        if info.text:
            sizes = np.array([len(w) for w in value.words] + [_MISSING], "<u4")
            out += [sizes[value.codes].tobytes(), b"".join(value.words[c] for c in value.codes if c >= 0)]
        else:
            out.append(np.asarray(value, "<f8").tobytes())
        out.append(bytes(8 * rows))
    return b"".join(out)


def encode_log(schema: Schema, log: Path, raw: Path, target: Path) -> int:
    """Takes a log the way that training does, and writes the raw inputs that the
    join gave and the rows that a model would be trained on."""
    inputs = join(eventlog.read(log)).inputs
    rows = schema.encode(inputs)
    raw.write_bytes(write_raw(schema, inputs))
    target.write_bytes(rows.astype("<f4").tobytes())
    return len(rows)


def encode_file(schema: Schema, source: Path, target: Path) -> int:
    """Encodes source into target (float32, little endian, row after row)."""
    inputs, ages = read_raw(schema, source.read_bytes())
    rows = schema.encode(inputs, ages)
    target.write_bytes(rows.astype("<f4").tobytes())
    return len(rows)
