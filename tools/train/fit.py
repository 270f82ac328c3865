"""The whole way from a log to a bundle directory and a report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

import numpy as np

from . import bundle, calibrate, metrics, quarantine
from .bundle import Trained
from .eventlog import Log
from .join import JoinConfig, Joined, join
from .schema import Schema
from .trainers import TRAINERS, Params, context_only

SEGMENT_BY = "ad.media"
FOLDS = 4


class FitError(Exception):
    """Data that nothing can be trained on; the message says why."""


@dataclass(frozen=True)
class FitConfig:
    """What is trained, and on which part of the time."""

    trainer: str = "lightgbm"
    calibration: str = "auto"
    seed: int = 1
    threads: int = 2
    train_share: float = 0.5
    calibrate_share: float = 0.25
    ctr: Params = Params(trees=70, leaves=12, rate=0.17, rows_in_leaf=500)
    cvr: Params = Params(trees=90, leaves=4, rate=0.1, rows_in_leaf=200, category_smooth=200, category_threshold=4)
    context: Params = Params(trees=30, leaves=8, rate=0.25, rows_in_leaf=500)
    join: JoinConfig = field(default_factory=JoinConfig)


@dataclass(frozen=True)
class Slices:
    """Rows of a target: trained on, calibrated on, judged on, each later than
    the last and each with labels that were settled before the next begins."""

    train: np.ndarray
    calibrate: np.ndarray
    test: np.ndarray


@dataclass
class Result:
    """What a run made."""

    models: dict[str, Trained]
    metrics: dict[str, dict]
    quarantine: dict
    rows: np.ndarray  # of the test slice of ctr
    data: dict


def split(time_ms: np.ndarray, settled: np.ndarray, of: np.ndarray, config: FitConfig) -> Slices:
    """Cuts the time in three. A row whose label settles in a later slice is left
    out: when that slice begins, nobody knows it yet."""
    first, last = int(time_ms[0]), int(time_ms[-1])
    a = first + int((last - first) * config.train_share)
    b = first + int((last - first) * (config.train_share + config.calibrate_share))

    def rows(begin: int, end: int) -> np.ndarray:
        return np.flatnonzero(of & (time_ms >= begin) & (time_ms < end) & (settled <= end))

    return Slices(rows(first, a), rows(a, b), rows(b, last + 1))


def run(log: Log, schema: Schema, config: FitConfig, say: Callable[[str], None]) -> Result:
    """Trains ctr, cvr and the context-only model."""
    began = time.monotonic()

    def step(text: str) -> None:
        say(f"{time.monotonic() - began:6.1f} s  {text}")

    step(f"{len(log):,} impressions, {len(log.click_row):,} clicks, {len(log.conversion_row):,} conversions")
    if len(log) < 1000:
        raise FitError(f"{len(log)} impressions are too few to train on: give a longer log")
    held = quarantine.inspect(log)
    for f in held.findings:
        step(f"quarantine: {f.check}: {f.source}: {f.why} ({f.rows:,} rows)")
    step(f"quarantined {(~held.keep).sum():,} rows for {len(held.findings)} reasons")
    log = log.take(held.keep)
    joined = join(log, config.join)
    rows = schema.encode(joined.inputs)
    step(f"joined and encoded {rows.shape[0]:,} rows of {rows.shape[1]} columns")

    targets = _targets(log, joined)
    segment = rows[:, schema.names.index(SEGMENT_BY)]
    models, scores = {}, {}
    test_rows = rows[:0]
    for name, params in (("ctr", config.ctr), ("cvr", config.cvr), ("context", context_only(config.context, schema))):
        label, truth, of, settled = targets["cvr" if name == "cvr" else "ctr"]
        slices = split(log.time, settled, of, config)
        _enough(name, label, slices)
        params = replace(params, seed=config.seed, threads=config.threads)
        model = TRAINERS[config.trainer](schema, rows[slices.train], label[slices.train], params)
        step(f"{name}: trained {params.trees} trees of up to {params.leaves} leaves on {len(slices.train):,} rows")
        c, raw = slices.calibrate, model.raw(rows[slices.calibrate])
        if label[c].sum() < calibrate.ISOTONIC_POSITIVES:
            raw = np.concatenate([_out_of_fold(rows, label, slices.train, TRAINERS[config.trainer], schema, params), raw])
            c = np.concatenate([slices.train, c])
        models[name] = Trained(model, calibrate.fit(raw, label[c], segment[c], SEGMENT_BY, _kind(config, label[slices.calibrate])))
        t = slices.test
        _, p = models[name].predict(rows[t], segment[t])
        scores[name] = metrics.summary(label[t], p, truth[t] if truth is not None else None)
        scores[name]["calibration"] = models[name].calibration.kind
        step(f"{name}: {_in_words(scores[name])}")
        if name == "ctr":
            test_rows = rows[t]
    data = {
        "impressions": len(log), "clicks": int(joined.click.sum()), "conversions": int(joined.conversion.sum()),
        "quarantined": int((~held.keep).sum()), "trainer": config.trainer, "seed": config.seed,
        "from_ms": int(log.time[0]), "to_ms": int(log.time[-1]),
    }
    return Result(models, scores, held.report(), test_rows, data)


def _kind(config: FitConfig, label: np.ndarray) -> str:
    """The kind of map: what was asked for, or what the slice alone has enough of."""
    return config.calibration if config.calibration != "auto" else calibrate.kind_for(label)


def _out_of_fold(rows: np.ndarray, label: np.ndarray, train: np.ndarray, trainer: Callable, schema: Schema, params: Params) -> np.ndarray:
    """Raw scores of the training rows, each by a model that has not seen its part
    of the time: where a calibration slice has few positives, its lowest decile
    would be luck, and the training slice has as many again."""
    raw = np.empty(len(train))
    for part in np.array_split(np.arange(len(train)), FOLDS):
        others = np.delete(train, part)
        raw[part] = trainer(schema, rows[others], label[others], params).raw(rows[train[part]])
    return raw


def _targets(log: Log, joined: Joined) -> dict[str, tuple]:
    """Label, truth, rows and the time of settlement, by target. A row whose
    window is still open when the log ends is in none."""
    end = int(log.time[-1])
    truth = log.truth or {"ctr": None, "cvr": None}
    return {
        "ctr": (joined.click, truth["ctr"], joined.click_settled <= end, joined.click_settled),
        "cvr": (joined.conversion, truth["cvr"], joined.click & (joined.conversion_settled <= end), joined.conversion_settled),
    }


def _enough(name: str, label: np.ndarray, slices: Slices) -> None:
    for part, rows in vars(slices).items():
        positives = int(label[rows].sum())
        if positives < 50 or positives == len(rows):
            raise FitError(f"{name}: {positives} positives of {len(rows)} rows to {part} on, at least 50 are needed: give a longer log, or more of its days")


def _in_words(m: dict) -> str:
    text = f"AUC {m['auc']:.4f}"
    if "bayes_auc" in m:
        text += f" ({m['auc_below_bayes']:.4f} below the best there is)"
    return text + f", log loss {m['log_loss']:.5f}, worst decile {100 * m['worst_decile_error']:.1f} % off, {m['calibration']}"


def headline(scores: dict[str, dict]) -> dict:
    """The few figures that go into a bundle's manifest."""
    keys = ("rows", "positives", "auc", "bayes_auc", "log_loss", "log_loss_of_the_mean", "ece", "worst_decile_error", "calibration")
    return {
        name: {k: (round(m[k], 6) if isinstance(m[k], float) else m[k]) for k in keys if k in m} for name, m in scores.items()
    }


def write(result: Result, schema: Schema, directory: Path, name: str, version: int, seed: int) -> None:
    """Writes the bundle directory."""
    bundle.write_directory(
        directory, name, version, schema, result.models, bundle.golden_rows(result.rows, seed),
        schema.names.index(SEGMENT_BY), headline(result.metrics), result.data,
    )
