"""How good predictions are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import rankdata

_LEAST = 1e-9


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Probability that a positive scores above a negative; NaN without both."""
    label = label.astype(bool)
    positives, n = int(label.sum()), len(label)
    if positives in (0, n):
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[label].sum() - positives * (positives + 1) / 2) / (positives * (n - positives)))


def log_loss(label: np.ndarray, p: np.ndarray) -> float:
    """Mean negative log likelihood, in nats."""
    p = np.clip(p, _LEAST, 1 - _LEAST)
    return float(-np.mean(np.where(label, np.log(p), np.log1p(-p))))


@dataclass(frozen=True)
class Decile:
    """A tenth of the rows, by their prediction."""

    rows: int
    predicted: float
    observed: float
    observed_error: float  # standard error of observed
    true: float  # NaN where the truth is not known

    @property
    def error(self) -> float:
        """Relative to the truth, or where it is not known to what was observed."""
        against = self.observed if np.isnan(self.true) else self.true
        return self.predicted / against - 1 if against > 0 else float("nan")


def deciles(label: np.ndarray, p: np.ndarray, truth: np.ndarray | None = None) -> list[Decile]:
    """Tenths of equal size, from the lowest predictions to the highest."""
    out = []
    for rows in np.array_split(np.argsort(p, kind="stable"), 10):
        if len(rows) == 0:
            continue
        rate = float(label[rows].mean())
        out.append(
            Decile(
                len(rows),
                float(p[rows].mean()),
                rate,
                float(np.sqrt(max(rate * (1 - rate), 1 / len(rows) ** 2) / len(rows))),
                float("nan") if truth is None else float(truth[rows].mean()),
            )
        )
    return out


def expected_calibration_error(table: list[Decile]) -> float:
    """Mean distance of predicted and observed, by rows."""
    rows = sum(d.rows for d in table)
    return sum(d.rows * abs(d.predicted - d.observed) for d in table) / rows if rows else float("nan")


def summary(label: np.ndarray, p: np.ndarray, truth: np.ndarray | None = None) -> dict:
    """All of it, as it stands in the report."""
    table = deciles(label, p, truth)
    out = {
        "rows": len(label),
        "positives": int(label.sum()),
        "auc": auc(label, p),
        "log_loss": log_loss(label, p),
        "log_loss_of_the_mean": log_loss(label, np.full(len(label), label.mean())),
        "ece": expected_calibration_error(table),
        "worst_decile_error": max((abs(d.error) for d in table), default=float("nan")),
        "deciles": [asdict(d) | {"error": d.error} for d in table],
    }
    if truth is not None:
        out["bayes_auc"] = auc(label, truth)
        out["auc_below_bayes"] = out["bayes_auc"] - out["auc"]
        out["bayes_log_loss"] = log_loss(label, truth)
    return out
