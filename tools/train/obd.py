"""Trains on the first 70 % of the Open Bandit Dataset's sample and judges on the rest.

10,000 impressions, 46 clicks: enough to see that the code is honest, not enough
to see which model is better. Every figure comes with a bootstrap interval.

    python -m tools.train.obd [--data FOLDER] [--out report.json]

FOLDER (or MILLRACE_OBD) holds random-men.csv and men-item-context.csv; absent,
the run is skipped. Exit codes: 0 done or skipped, 2 unusable data.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from . import metrics, offpolicy
from .offpolicy import Estimate, Logged, evaluate, ratio

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "obd"
TRAIN_SHARE = 0.7
# An item's rate counts as much as the mean at so many impressions.
PRIOR_STRENGTH = 400.0


@dataclass(frozen=True)
class Bandit:
    """The sample, in the order of time."""

    action: np.ndarray
    click: np.ndarray
    propensity: np.ndarray
    context: np.ndarray  # rows × (position, user features)
    affinity: np.ndarray  # rows × items
    items: np.ndarray  # items × features

    def features(self, rows: np.ndarray, action: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Columns of each row with an action: context, item, their affinity, and
        the item's smoothed rate."""
        return np.column_stack([self.context[rows], self.items[action], self.affinity[rows, action], prior[action]])


CATEGORICAL = [0, 1, 2, 3, 4, 6, 7, 8]  # position, user features, item features but the number


def _codes(values: list[str]) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def read(folder: Path) -> Bandit:
    """Reads the two files."""
    with open(folder / "random-men.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    with open(folder / "men-item-context.csv", newline="") as f:
        items = sorted(csv.DictReader(f), key=lambda r: int(r["item_id"]))
    rows.sort(key=lambda r: datetime.fromisoformat(r["timestamp"]))
    columns = [f"user-item_affinity_{i}" for i in range(len(items))]
    return Bandit(
        np.array([int(r["item_id"]) for r in rows]),
        np.array([r["click"] == "1" for r in rows]),
        np.array([float(r["propensity_score"]) for r in rows]),
        np.column_stack([_codes([r[c] for r in rows]) for c in ("position", *(f"user_feature_{i}" for i in range(4)))]),
        np.array([[float(r[c]) for c in columns] for r in rows]),
        np.column_stack([np.array([float(i["item_feature_0"]) for i in items])] + [_codes([i[f"item_feature_{k}"] for i in items]) for k in (1, 2, 3)]),
    )


def item_prior(b: Bandit, rows: np.ndarray) -> np.ndarray:
    """Each item's rate in the rows, shrunk towards their mean."""
    mean = b.click[rows].mean()
    n = np.bincount(b.action[rows], minlength=len(b.items))
    return (np.bincount(b.action[rows], b.click[rows], len(b.items)) + PRIOR_STRENGTH * mean) / (n + PRIOR_STRENGTH)


def prior_as_of(b: Bandit, rows: np.ndarray) -> np.ndarray:
    """The same for each row from the rows before it alone, so that training sees
    no click in its own features."""
    out = np.empty(len(rows))
    shown, clicked = np.zeros(len(b.items)), np.zeros(len(b.items))
    mean = b.click[rows].mean()
    for k, i in enumerate(rows):
        a = b.action[i]
        out[k] = (clicked[a] + PRIOR_STRENGTH * mean) / (shown[a] + PRIOR_STRENGTH)
        shown[a] += 1
        clicked[a] += b.click[i]
    return out


def train(b: Bandit, rows: np.ndarray, seed: int):
    """A small, slow, strongly regularised forest: there are 28 clicks."""
    import lightgbm

    x = b.features(rows, b.action[rows], np.zeros(len(b.items)))
    x[:, -1] = prior_as_of(b, rows)
    return lightgbm.train(
        {
            "objective": "binary", "num_leaves": 4, "learning_rate": 0.02, "min_data_in_leaf": 500, "lambda_l2": 10,
            "cat_smooth": 100, "cat_l2": 50, "min_data_per_group": 500, "max_cat_threshold": 2,
            "deterministic": True, "force_row_wise": True, "num_threads": 2, "seed": seed, "verbose": -1,
        },
        lightgbm.Dataset(x, b.click[rows].astype(np.float64), categorical_feature=CATEGORICAL, params={"verbose": -1}),
        60,
    )


def _losses(label: np.ndarray, p: np.ndarray) -> np.ndarray:
    return -np.where(label, np.log(p), np.log1p(-p))


def _auc_interval(label: np.ndarray, p: np.ndarray, seed: int) -> Estimate:
    positive, negative = p[label], p[~label]
    rng = np.random.default_rng(seed)
    # The AUC of a resample is a mean over pairs: a row of wins a positive.
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    drawn = []
    for _ in range(2000):
        i, j = rng.integers(0, len(positive), len(positive)), rng.integers(0, len(negative), len(negative))
        drawn.append(wins[i][:, j].mean())
    return Estimate(metrics.auc(label, p), *map(float, np.quantile(drawn, [0.025, 0.975])))


def judge(label: np.ndarray, p: np.ndarray, mean: np.ndarray, seed: int) -> dict:
    """AUC, log loss (and how much lower than the mean's), calibration."""
    one = np.ones(len(label))
    groups = [
        {"rows": len(r), "predicted": float(p[r].mean()), "observed": asdict(ratio(label[r].astype(float), np.ones(len(r)), seed))}
        for r in np.array_split(np.argsort(p, kind="stable"), 3)
    ]
    return {
        "auc": asdict(_auc_interval(label, p, seed)),
        "log_loss": asdict(ratio(_losses(label, p), one, seed)),
        "log_loss_less_than_mean": asdict(ratio(_losses(label, mean) - _losses(label, p), one, seed)),
        "predicted_over_observed": asdict(_inverse(ratio(label.astype(float), p, seed))),
        "thirds": groups,
    }


def _inverse(e: Estimate) -> Estimate:
    return Estimate(1 / e.value, 1 / e.high, 1 / e.low if e.low > 0 else float("inf"))


def policies(expected: np.ndarray) -> dict[str, np.ndarray]:
    """Ways to choose by the expected rates: always the best, and in proportion
    to the rate's square, which explores and can be judged with less noise."""
    greedy = np.zeros_like(expected)
    greedy[np.arange(len(expected)), expected.argmax(axis=1)] = 1
    square = expected**2
    return {"greedy": greedy, "proportional": square / square.sum(axis=1, keepdims=True)}


def run(b: Bandit, seed: int = 1) -> dict:
    """The whole study."""
    cut = int(len(b.click) * TRAIN_SHARE)
    rows, test = np.arange(cut), np.arange(cut, len(b.click))
    model, prior = train(b, rows, seed), item_prior(b, rows)
    label, action = b.click[test], b.action[test]
    mean = np.full(len(test), b.click[rows].mean())
    predicted = {"mean": mean, "item prior": prior[action], "forest": model.predict(b.features(test, action, prior))}
    out: dict = {
        "rows": {"train": len(rows), "test": len(test)}, "clicks": {"train": int(b.click[rows].sum()), "test": int(label.sum())},
        "models": {name: judge(label, np.clip(p, 1e-6, 1 - 1e-6), mean, seed) for name, p in predicted.items()},
        "policies": {},
    }
    items = len(b.items)
    every = np.column_stack([model.predict(b.features(test, np.full(len(test), a), prior)) for a in range(items)])
    for source, expected in (("forest", every), ("item prior", np.tile(prior, (len(test), 1)))):
        for name, policy in policies(expected).items():
            logged = Logged(action, label, b.propensity[test], policy, expected)
            out["policies"][f"{source}, {name}"] = {k: asdict(e) for k, e in evaluate(logged, seed).items()} | {
                "effective_rows": offpolicy.effective_rows(logged.weight)
            }
    return out


def _show(result: dict) -> None:
    def text(e: dict, digits: int) -> str:
        return f"{e['value']:.{digits}f} [{e['low']:.{digits}f}, {e['high']:.{digits}f}]"

    print(f"train {result['rows']['train']} impressions, {result['clicks']['train']} clicks; test {result['rows']['test']}, {result['clicks']['test']}")
    print(f"{'model':12s} {'AUC':22s} {'log loss':28s} {'better than the mean by':30s} predicted / observed")
    for name, m in result["models"].items():
        print(f"{name:12s} {text(m['auc'], 3):22s} {text(m['log_loss'], 5):28s} {text(m['log_loss_less_than_mean'], 5):30s} {text(m['predicted_over_observed'], 2)}")
    print(f"{'clicks an impression':26s} {'IPS':28s} {'SNIPS':28s} {'DR':28s} effective rows")
    for name, p in result["policies"].items():
        print(f"{name:26s} {text(p['ips'], 5):28s} {text(p['snips'], 5):28s} {text(p['dr'], 5):28s} {p['effective_rows']:.0f}")
    print(f"{'as logged (uniform)':26s} {text(next(iter(result['policies'].values()))['logging'], 5)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.train.obd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MILLRACE_OBD", DEFAULT)))
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if not (args.data / "random-men.csv").is_file():
        print(f"obd: SKIPPED: no random-men.csv in {args.data}; give --data or MILLRACE_OBD")
        return 0
    try:
        result = run(read(args.data), args.seed)
    except (KeyError, ValueError, OSError) as e:
        print(f"obd: {args.data}: {e!r}; are these the files of the Open Bandit Dataset?", file=sys.stderr)
        return 2
    _show(result)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
