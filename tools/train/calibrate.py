"""Maps from raw scores to probabilities: the file that models/calibration reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable

import numpy as np
from scipy.optimize import minimize

# A segment has a map of its own from so many positives on.
SEGMENT_POSITIVES = 5000
ISOTONIC_POSITIVES = 20_000
BINS = 60
SMOOTH_POSITIVES = 500


@dataclass(frozen=True)
class Platt:
    """1 / (1 + exp(-(a × raw + b)))"""

    a: float
    b: float

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(self.a * raw + self.b)))

    def to_json(self) -> dict:
        return {"a": self.a, "b": self.b}


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between knots, flat beyond the ends."""

    x: np.ndarray
    y: np.ndarray

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        if len(self.x) == 1:
            return np.full(len(raw), self.y[0])
        at = np.clip(np.searchsorted(self.x, raw, side="right"), 1, len(self.x) - 1)
        x0, x1, y0, y1 = self.x[at - 1], self.x[at], self.y[at - 1], self.y[at]
        return np.clip(y0 + (y1 - y0) * ((raw - x0) / (x1 - x0)), y0, y1)

    def to_json(self) -> dict:
        return {"x": self.x.tolist(), "y": self.y.tolist()}


def fit_platt(raw: np.ndarray, label: np.ndarray) -> Platt:
    """Maximum likelihood with Platt's targets, which keep a finite."""
    positives = label.sum()
    high, low = (positives + 1) / (positives + 2), 1 / (len(label) - positives + 2)
    target = np.where(label, high, low)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = np.exp(w[0]) * raw + w[1]  # a > 0 by construction
        gradient = 1 / (1 + np.exp(-z)) - target
        return float(np.mean(np.logaddexp(0, z) - target * z)), np.array([np.mean(gradient * raw) * np.exp(w[0]), np.mean(gradient)])

    found = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    return Platt(float(np.exp(np.clip(found[0], -5, 5))), float(found[1]))


def pool_adjacent_violators(y: np.ndarray, weight: np.ndarray) -> list[tuple[int, int, float]]:
    """The closest rising steps to y: (first, end, value) of each."""
    blocks: list[list[float]] = []  # first, weight, value
    for i, (v, w) in enumerate(zip(y, weight)):
        blocks.append([i, w, v])
        while len(blocks) > 1 and blocks[-2][2] >= blocks[-1][2]:
            _, w1, v1 = blocks.pop()
            last = blocks[-1]
            last[2] = (last[1] * last[2] + w1 * v1) / (last[1] + w1)
            last[1] += w1
    ends = [int(b[0]) for b in blocks[1:]] + [len(y)]
    return [(int(b[0]), end, b[2]) for b, end in zip(blocks, ends)]


def _smooth(raw: np.ndarray, label: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A logistic curve of the third degree in the score: the shape of the whole,
    with little variance and some bias."""
    mean, spread = raw.mean(), raw.std() or 1.0

    def basis(r: np.ndarray) -> np.ndarray:
        z = np.clip((r - mean) / spread, -3, 3)
        return np.stack([np.ones_like(z), z, z**2, z**3], axis=1)

    x, w = basis(raw), np.zeros(4)
    for _ in range(12):  # Newton's method, slightly damped towards zero
        p = 1 / (1 + np.exp(-(x @ w)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.eye(4)
        w += np.linalg.solve(hessian, x.T @ (label - p) - w)
    return lambda r: 1 / (1 + np.exp(-(basis(r) @ w)))


def fit_isotonic(raw: np.ndarray, label: np.ndarray) -> Isotonic:
    """Isotonic regression over quantile bins, each shrunk towards a smooth curve:
    a bin's own positives count against SMOOTH_POSITIVES of the curve's, so that
    a knot is more than the luck of a few rows."""
    edges = np.unique(np.quantile(raw, np.linspace(0, 1, BINS + 1)[1:-1]))
    place = np.searchsorted(edges, raw, side="right")
    count = np.bincount(place, minlength=len(edges) + 1)
    kept = count > 0
    x = np.bincount(place, raw, len(edges) + 1)[kept] / count[kept]
    positives = np.bincount(place, label, len(edges) + 1)[kept]
    count = count[kept]
    smooth = _smooth(raw, label)
    expected = np.clip(smooth(x), 1e-6, 1 - 1e-6)
    y = (positives + SMOOTH_POSITIVES) / (count + SMOOTH_POSITIVES / expected)
    steps = pool_adjacent_violators(y, count.astype(np.float64))
    knots = [(np.average(x[i:j], weights=count[i:j]), v) for i, j, v in steps]
    # The outermost bins end at the outermost scores, by the curve's slope: flat
    # from their middles, the best of all ads would be equally good.
    for end, at in ((raw.min(), 0), (raw.max(), -1)):
        inner = knots[at]
        rate = min(inner[1] * float(smooth(np.array([end]))[0] / smooth(np.array([inner[0]]))[0]), 1.0)
        if (end < inner[0] and rate <= inner[1]) if at == 0 else (end > inner[0] and rate >= inner[1]):
            knots.insert(0 if at == 0 else len(knots), (end, rate))
    return Isotonic(np.array([k[0] for k in knots]), np.array([k[1] for k in knots]))


_FITS = {"platt": fit_platt, "isotonic": fit_isotonic}


@dataclass
class Calibration:
    """The maps of one model."""

    kind: str
    everywhere: "Platt | Isotonic"
    segment_by: str = ""
    segments: dict[int, "Platt | Isotonic"] = field(default_factory=dict)

    def __call__(self, raw: np.ndarray, segment: np.ndarray) -> np.ndarray:
        p = self.everywhere(raw)
        for key, own in self.segments.items():
            rows = segment == key
            p[rows] = own(raw[rows])
        return p

    def to_json(self) -> dict:
        out: dict = {"kind": self.kind, "global": self.everywhere.to_json()}
        if self.segments:
            out |= {"segment_by": self.segment_by, "segments": {str(k): m.to_json() for k, m in sorted(self.segments.items())}}
        return out


def kind_for(label: np.ndarray) -> str:
    """The kind of map that so many positives can carry."""
    return "isotonic" if label.sum() >= ISOTONIC_POSITIVES else "platt"


def fit(raw: np.ndarray, label: np.ndarray, segment: np.ndarray, segment_by: str, kind: str = "auto") -> Calibration:
    """Maps for all rows and for each segment that has enough of them.

    auto: isotonic, which also straightens what is no line, from
    ISOTONIC_POSITIVES on; Platt's two numbers where there are fewer. (The log
    loss of a held-out half is no better judge: it hardly sees the lowest decile.)
    """
    label = label.astype(bool)
    if kind == "auto":
        kind = kind_for(label)
    return _fit(raw, label, segment, segment_by, kind)


def _fit(raw: np.ndarray, label: np.ndarray, segment: np.ndarray, segment_by: str, kind: str) -> Calibration:
    out = Calibration(kind, _FITS[kind](raw, label), segment_by)
    for key in np.unique(segment[~np.isnan(segment)]):
        rows = segment == key
        if label[rows].sum() >= SEGMENT_POSITIVES:
            out.segments[int(key)] = _FITS[kind](raw[rows], label[rows])
    return out
