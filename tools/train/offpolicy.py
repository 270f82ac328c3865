"""What another policy would have earned, from the log of the one that served.

    IPS     mean of weight × reward, weight = chance under the new policy ÷ chance when logged
    SNIPS   the same, divided by the mean weight: a little bias, much less variance
    DR      what a model of the rewards expects, plus IPS of what the model got wrong

Intervals are from the bootstrap over rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

import numpy as np

BOOTSTRAPS = 4000


@dataclass(frozen=True)
class Logged:
    """Rows of a log. policy and expected are rows × actions: the new policy's
    chances, and the rewards that a model expects."""

    action: np.ndarray
    reward: np.ndarray
    propensity: np.ndarray
    policy: np.ndarray
    expected: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        return self.policy[np.arange(len(self.action)), self.action] / self.propensity


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.5f} [{self.low:.5f}, {self.high:.5f}]"


def resamples(rng: np.random.Generator, rows: int, times: int) -> Iterator[np.ndarray]:
    """How often each row is in each resample, a few resamples at a time."""
    chunk = max(1, 4_000_000 // max(rows, 1))
    for first in range(0, times, chunk):
        n = min(chunk, times - first)
        yield np.stack([np.bincount(rng.integers(0, rows, rows), minlength=rows) for _ in range(n)]).astype(np.float64)


def ratio(top: np.ndarray, bottom: np.ndarray, seed: int, times: int = BOOTSTRAPS) -> Estimate:
    """sum(top) ÷ sum(bottom) with its interval; resamples without any bottom
    have no ratio and are left out."""
    rng = np.random.default_rng(seed)
    drawn = []
    for count in resamples(rng, len(top), times):
        b = count @ bottom
        drawn.append((count @ top)[b > 0] / b[b > 0])
    values = np.concatenate(drawn)
    whole = top.sum() / bottom.sum() if bottom.sum() > 0 else float("nan")
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (float("nan"),) * 2
    return Estimate(float(whole), float(low), float(high))


def evaluate(log: Logged, seed: int = 1, times: int = BOOTSTRAPS) -> dict[str, Estimate]:
    """The new policy's value, by each estimator, and the logging policy's."""
    one = np.ones(len(log.action))
    weight = log.weight
    model = (log.policy * log.expected).sum(axis=1)
    corrected = model + weight * (log.reward - log.expected[np.arange(len(log.action)), log.action])
    return {
        "logging": ratio(log.reward.astype(np.float64), one, seed, times),
        "ips": ratio(weight * log.reward, one, seed, times),
        "snips": ratio(weight * log.reward, weight, seed, times),
        "dr": ratio(corrected, one, seed, times),
    }


def effective_rows(weight: np.ndarray) -> float:
    """How many rows of equal weight would be as informative."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0
