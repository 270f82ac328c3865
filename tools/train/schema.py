"""The twin of the Go package models/feature: rows from raw inputs.

It interprets the same schema.json. Every operation is chosen so that both give
the same bits: float64 additions, multiplications and divisions in one order,
and one rounding to float32 at the end.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

import numpy as np

from .xxh64 import xxh64

DEFINITION = Path(__file__).resolve().parents[2] / "models" / "feature" / "schema.json"

GROUPS = ("user", "context", "ad", "cross")
CATEGORICAL = ("category", "enum", "hash")
MAX_TEXT = 256  # bytes of a text that are read
MAX_COUNT = 1e15  # bound on the counts of a ratio
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Words:
    """A column of texts: codes into words, -1 where missing."""

    codes: np.ndarray
    words: list[bytes]

    @staticmethod
    def of(values: list[bytes | None]) -> "Words":
        """Words of a plain list."""
        places: dict[bytes, int] = {}
        codes = np.empty(len(values), np.int32)
        for i, v in enumerate(values):
            codes[i] = places.setdefault(v, len(places)) if v else -1
        return Words(codes, list(places))

    def take(self, rows: np.ndarray) -> "Words":
        return Words(self.codes[rows], self.words)

    def __len__(self) -> int:
        return len(self.codes)


Inputs = Mapping[str, "np.ndarray | Words"]


@dataclass(frozen=True)
class Input:
    name: str
    text: bool
    max_age: float  # seconds; inf: does not age
    about: str


@dataclass(frozen=True)
class Column:
    name: str
    group: str
    encode: str
    sources: tuple[str, ...]
    default: float
    spec: dict

    @property
    def categorical(self) -> bool:
        return self.encode in CATEGORICAL


class Schema:
    """A parsed definition. The server's parser is the strict one; this reads
    what that one has accepted."""

    def __init__(self, text: bytes) -> None:
        doc = json.loads(text)
        ages = {name: c["max_age_seconds"] or math.inf for name, c in doc["freshness"].items()}
        self.version: int = doc["version"]
        self.sha256 = hashlib.sha256(text).hexdigest()
        self.text = text
        self.inputs = {
            i["name"]: Input(i["name"], i["type"] == "text", ages[i["freshness"]], i.get("about", "")) for i in doc["inputs"]
        }
        self.columns = [
            Column(
                c["name"],
                c["name"].partition(".")[0],
                c["encode"],
                tuple(c["from"]),
                math.nan if c.get("default") is None else c["default"],
                c,
            )
            for c in doc["columns"]
        ]

    @staticmethod
    def load(path: Path = DEFINITION) -> "Schema":
        return Schema(path.read_bytes())

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    @property
    def categorical(self) -> list[int]:
        return [i for i, c in enumerate(self.columns) if c.categorical]

    def indices(self, *groups: str) -> list[int]:
        """Numbers of the columns of the groups."""
        return [i for i, c in enumerate(self.columns) if c.group in groups]

    def encode(self, inputs: Inputs, ages: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """Rows of float32, one a value of the inputs.

        inputs: float64 arrays (NaN is missing) and Words, by input name; one
        that is absent is missing in every row. ages: seconds since a value was
        right; where it is older than its class allows, the value is stale.
        """
        n = len(next(iter(inputs.values())))
        rows = np.empty((n, len(self.columns)), np.float32)
        present: dict[str, np.ndarray] = {}
        for name, info in self.inputs.items():
            value = inputs.get(name)
            if value is None:
                ok = np.zeros(n, bool)
            elif info.text:
                ok = value.codes >= 0
            else:
                ok = ~np.isnan(value)
            if ages is not None and name in ages:
                ok &= ages[name] <= info.max_age
            present[name] = ok
        for i, c in enumerate(self.columns):
            ok = np.logical_and.reduce([present[s] for s in c.sources])
            if not ok.any():
                rows[:, i] = c.default
                continue
            value, valid = _ENCODERS[c.encode](c.spec, *(inputs[s] for s in c.sources))
            rows[:, i] = np.where(ok & valid, value, c.default).astype(np.float32)
        return rows


def ln(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of x >= 1: FreeBSD's method in plain arithmetic, step
    for step what the Go encoder does."""
    f, exponent = np.frexp(x)
    small = f < math.sqrt(2) / 2
    f = np.where(small, f * 2, f)
    k = (exponent - small).astype(np.float64)
    f = f - 1
    s = f / (2 + f)
    s2 = s * s
    s4 = s2 * s2
    t1 = s2 * (_LN[0] + s4 * (_LN[2] + s4 * (_LN[4] + s4 * _LN[6])))
    t2 = s4 * (_LN[1] + s4 * (_LN[3] + s4 * _LN[5]))
    half = 0.5 * f * f
    tail = s * (half + (t1 + t2)) + k * 1.90821492927058770002e-10
    return k * 6.93147180369123816490e-01 - ((half - tail) - f)


_LN = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


def fold(word: bytes) -> bytes:
    """What of a text counts: its first bytes, ASCII letters in lower case."""
    return word[:MAX_TEXT].lower()


def _finite(x: np.ndarray) -> np.ndarray:
    """x without NaN (those rows are missing) and without negative zero."""
    return np.where(np.isnan(x), 0.0, x) + 0.0


def _number(spec: dict, x: np.ndarray):
    low = spec.get("min", 0.0 if spec["encode"] == "log1p" else -FLOAT32_MAX)
    return np.clip(_finite(x), low, spec.get("max", FLOAT32_MAX)), True


def _log1p(spec: dict, x: np.ndarray):
    return ln(1 + _number(spec, x)[0]), True


def _bucket(spec: dict, x: np.ndarray):
    return np.searchsorted(np.asarray(spec["bounds"], np.float64), _finite(x), side="right").astype(np.float64), True


def _category(spec: dict, x: np.ndarray):
    x = _finite(x)
    with np.errstate(invalid="ignore"):
        return x, (x >= 0) & (x < spec["size"]) & (x == np.trunc(x))


def _of_words(x: Words, number) -> np.ndarray:
    table = np.array([number(fold(w)) for w in x.words] + [-1.0])
    return table[x.codes]  # -1, missing, is the last


def _enum(spec: dict, x: Words):
    places = {v.encode(): float(i) for i, v in enumerate(spec["values"])}
    value = _of_words(x, lambda w: places.get(w, -1.0))
    return value, value >= 0


def _hash(spec: dict, x: Words):
    return _of_words(x, lambda w: float(xxh64(w) % spec["size"])), True


def _ratio(spec: dict, successes: np.ndarray, trials: np.ndarray):
    s = np.clip(_finite(successes), 0.0, MAX_COUNT)
    t = np.maximum(np.clip(_finite(trials), 0.0, MAX_COUNT), s)
    return (s + spec["prior"] * spec["strength"]) / (t + spec["strength"]), True


_ENCODERS = {
    "number": _number,
    "log1p": _log1p,
    "bucket": _bucket,
    "category": _category,
    "enum": _enum,
    "hash": _hash,
    "ratio": _ratio,
}
