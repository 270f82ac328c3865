#!/usr/bin/env python3
"""Makes the golden models of models/gbdt: models that the real trainers trained,
with rows and what the trainers predict for them.

    .venv/bin/python tools/train/goldens.py --out build/goldens
    .venv/bin/python tools/train/goldens.py --out models/gbdt/testdata/golden --small

The full set has over 50 models and a million rows and stays out of git; the small
one is committed, so that parity is always tested. Each model NAME is three files:

    NAME.txt, .json or .ubj   the model, as its trainer saves it
    NAME.meta                 JSON: trainer, columns, rows, ...
    NAME.bin                  little-endian: rows (float32, row by row), raw scores,
                              predictions (float64 of LightGBM, float32 of XGBoost),
                              contributions of the first rows (float64; columns, then base)

Everything is seeded and single-threaded, so that a run can be repeated.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
import warnings

# Set before the trainers are loaded: a model must not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore")

import numpy as np

TRAIN_ROWS = 6_000
ROWS = 20_000
SMALL_ROWS = 256
CONTRIB_ROWS = 32

ZERO = np.float32(1e-35)  # what LightGBM takes for zero
BIG = np.finfo(np.float32).max
TINY = np.float32(1e-45)


# Data. A world draws columns; its target depends on them so that trees grow.


def columns_plain(rng, n):
    return rng.normal(size=(n, 12)).astype(np.float32), []


def columns_wide(rng, n):
    """Like a request: counts, rates, buckets, hours, flags, prices, mostly zero."""
    x = np.zeros((n, 32), np.float32)
    for c in range(32):
        match c % 8:
            case 0:
                x[:, c] = rng.poisson(1.5, n)
            case 1:
                x[:, c] = np.log1p(rng.exponential(20, n))
            case 2:
                x[:, c] = rng.integers(0, 24, n)
            case 3:
                x[:, c] = rng.beta(1, 60, n)
            case 4:
                x[:, c] = rng.integers(0, 2, n)
            case 5:
                x[:, c] = np.where(rng.random(n) < 0.7, 0, rng.exponential(3, n))
            case 6:
                x[:, c] = rng.lognormal(0, 2, n)
            case 7:
                x[:, c] = np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))
    return x, []


def columns_missing(rng, n):
    x = rng.normal(size=(n, 10)).astype(np.float32)
    x[rng.random(x.shape) < 0.25] = np.nan
    x[:, 9] = np.where(rng.random(n) < 0.95, np.nan, 1)  # nearly always missing
    return x, []


def columns_zeros(rng, n):
    x = rng.normal(size=(n, 10)).astype(np.float32)
    x[rng.random(x.shape) < 0.6] = 0
    small = rng.random(x.shape) < 0.05
    x[small] = rng.choice([ZERO, -ZERO, TINY, -TINY, ZERO * 2, -ZERO * 2, -0.0], small.sum())
    x[rng.random(x.shape) < 0.05] = np.nan
    return x, []


def columns_infinite(rng, n):
    x = (rng.normal(size=(n, 8)) * 10.0 ** rng.integers(-30, 30, (n, 8))).astype(np.float32)
    odd = rng.random(x.shape) < 0.1
    x[odd] = rng.choice([np.inf, -np.inf, BIG, -BIG, TINY, 0], odd.sum())
    return x, []


def columns_categories(rng, n):
    x = np.zeros((n, 10), np.float32)
    for c, k in enumerate([2, 3, 12, 40, 150, 1000]):
        x[:, c] = np.minimum(rng.geometric(min(0.5, 3 / k), n) - 1, k - 1)
        x[rng.random(n) < 0.05, c] = np.nan
    x[:, 6:] = rng.normal(size=(n, 4))
    return x, [0, 1, 2, 3, 4, 5]


def columns_constant(rng, n):
    x = np.zeros((n, 6), np.float32)
    x[:, 1] = 7
    x[:, 2] = rng.normal(size=n)
    x[:, 3] = x[:, 2]
    x[:, 4] = np.nan
    x[:, 5] = rng.integers(0, 2, n)
    return x, []


def columns_ties(rng, n):
    return (rng.integers(-24, 24, (n, 9)) / 8).astype(np.float32), []


WORLDS = {f.__name__.removeprefix("columns_"): f for f in (
    columns_plain, columns_wide, columns_missing, columns_zeros, columns_infinite, columns_categories, columns_constant, columns_ties)}


def world(name, n, seed):
    """Rows, categorical columns, and a score in which columns act together."""
    x, categories = WORLDS[name](np.random.default_rng([seed, n]), n)
    z = np.clip(np.nan_to_num(x.astype(np.float64), nan=-0.7, posinf=4, neginf=-4), -4, 4)
    for c in categories:
        z[:, c] = np.sin(np.nan_to_num(x[:, c]) * (c + 2.3)) * 2
    w = np.random.default_rng(7).normal(size=(z.shape[1], 4))
    h = np.tanh(z @ w)
    score = h[:, 0] + 1.5 * h[:, 1] * h[:, 2] + z[:, 2 % z.shape[1]] * (h[:, 3] > 0)
    return x, categories, score


def targets(kind, score, seed):
    rng = np.random.default_rng([seed, 1])
    noise = rng.normal(size=len(score))
    match kind:
        case "binary":
            return (rng.random(len(score)) < 1 / (1 + np.exp(1 - score))).astype(np.float64)
        case "rate":
            return 1 / (1 + np.exp(1 - score - 0.3 * noise))
        case "value":
            return score * 3 + noise + 10
        case "count":
            return rng.poisson(np.exp(score / 3)).astype(np.float64)
        case "positive":
            return np.exp(score / 3 + 0.2 * noise)
    raise ValueError(kind)


def edge_rows(rng, x, thresholds, odd):
    """Puts values where trees turn: on a threshold, one float beside it, and odd ones."""
    x = x.copy()
    for c in range(x.shape[1]):
        t = thresholds.get(c)
        if t is not None and len(t):
            at = np.flatnonzero(rng.random(len(x)) < 0.15)
            v = np.clip(rng.choice(t, len(at)), -BIG, BIG).astype(np.float32)
            step = rng.integers(0, 3, len(at))
            v = np.where(step == 0, v, np.where(step == 1, np.nextafter(v, np.float32(np.inf)), np.nextafter(v, np.float32(-np.inf))))
            x[at, c] = v if np.inf in odd else np.clip(v, -BIG, BIG)
        at = np.flatnonzero(rng.random(len(x)) < 0.02)
        x[at, c] = rng.choice(odd, len(at))
    return x.astype(np.float32)


ODD = np.array([np.nan, 0, -0.0, ZERO, -ZERO, ZERO / 2, ZERO * 2, TINY, -TINY, BIG, -BIG, -1, -0.5, 0.5, 5.75, 33, 4096, 2.0**24, 3e9, 1e30], np.float32)
INFINITE = np.array([np.inf, -np.inf], np.float32)


# Trainers. Each trains a model and says what it predicts.


def lightgbm_golden(spec, x, y, categories, draw, path):
    import lightgbm as lgb

    params = dict(num_threads=1, deterministic=True, seed=3, verbose=-1, min_data_in_leaf=5, learning_rate=0.1, num_leaves=31)
    params.update(spec["params"])
    if params.get("max_cat_threshold"):
        params.update(min_data_per_group=5, cat_smooth=1, cat_l2=1)
    custom = params.pop("custom", False)
    if custom:
        params["objective"] = lambda p, d: (p - d.get_label(), np.ones(len(p)))
    data = lgb.Dataset(x, y, categorical_feature=categories or "auto", params=params)
    bst = lgb.train(params, data, spec["rounds"])
    text = bst.model_to_string()
    with open(path + ".txt", "w") as f:
        f.write(text)

    thresholds, features = {}, []
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "split_feature":
            features = [int(v) for v in value.split()]
        elif key == "threshold":
            for c, v in zip(features, value.split()):
                if c not in categories:
                    thresholds.setdefault(c, []).append(float(v))
    rows = draw(thresholds, np.concatenate([ODD, INFINITE]))
    raw = bst.predict(rows, raw_score=True)
    contribs = bst.predict(rows[:spec.get("contribs", CONTRIB_ROWS)], pred_contrib=True)
    if "\naverage_output\n" in text:  # of a random forest LightGBM says the sums; it predicts from the average
        raw, contribs = raw / bst.num_trees(), contribs / bst.num_trees()
    return "txt", lgb.__version__, rows, raw, bst.predict(rows), contribs


def xgboost_golden(spec, x, y, categories, draw, path):
    import xgboost as xgb

    params = dict(nthread=1, seed=3, eta=0.1, tree_method="hist")
    params.update(spec["params"])
    missing = params.pop("missing", np.nan)
    extension = params.pop("file", "json")
    custom = params.pop("custom", False)
    types = ["c" if c in categories else "q" for c in range(x.shape[1])] if categories else None

    def matrix(rows, label=None):
        return xgb.DMatrix(rows, label, missing=missing, feature_types=types, enable_categorical=bool(categories))

    finite = np.where(np.isinf(x), np.nan, x)  # XGBoost trains on finite values only
    obj = (lambda p, d: (p - d.get_label(), np.ones(len(p)))) if custom else None
    bst = xgb.train(params, matrix(finite, y), spec["rounds"], obj=obj)
    bst.save_model(path + "." + extension)

    thresholds = {}
    trees = json.loads(bst.save_raw("json"))["learner"]["gradient_booster"]
    for tree in trees.get("gbtree", trees)["model"]["trees"]:
        for c, v, left in zip(tree["split_indices"], tree["split_conditions"], tree["left_children"]):
            if left >= 0 and c not in categories:
                thresholds.setdefault(c, []).append(v)
    infinite = spec["world"] == "infinite"
    rows = draw(thresholds, np.concatenate([ODD, INFINITE]) if infinite else ODD)
    if infinite:  # a DMatrix refuses them, prediction in place takes them
        raw, pred = (bst.inplace_predict(rows, predict_type=t) for t in ("margin", "value"))
        contribs = np.zeros((0, x.shape[1] + 1))
    else:
        d = matrix(rows)
        raw, pred = bst.predict(d, output_margin=True), bst.predict(d)
        contribs = bst.predict(matrix(rows[:CONTRIB_ROWS]), pred_contribs=True)
    if missing == 0:  # zero is missing to the caller; a row says so by NaN
        rows = np.where(rows == 0, np.float32(np.nan), rows)
    return extension, xgb.__version__, rows, raw, pred, contribs


def make(job):
    spec, out, count, prefix = job
    began = time.time()
    name = prefix + spec["name"].removeprefix(spec["trainer"]) if prefix else spec["name"]
    seed = spec.get("seed", 11)
    x, categories, score = world(spec["world"], spec.get("train_rows", TRAIN_ROWS), seed)
    y = targets(spec.get("target", "binary"), score, seed)

    def draw(thresholds, odd):
        rng = np.random.default_rng([seed, 2])
        rows, _, _ = world(spec["world"], count, seed + 1)
        if not np.isinf(odd).any():
            rows = np.where(np.isinf(rows), np.nan, rows)
        return np.ascontiguousarray(edge_rows(rng, rows, thresholds, odd), np.float32)

    path = os.path.join(out, name)
    trainer = lightgbm_golden if spec["trainer"] == "lightgbm" else xgboost_golden
    extension, version, rows, raw, pred, contribs = trainer(spec, x, y, categories, draw, path)
    scores = np.float64 if spec["trainer"] == "lightgbm" else np.float32
    with open(path + ".bin", "wb") as f:
        f.write(rows.astype("<f4").tobytes())
        for a in (raw, pred):
            assert a.dtype == scores and a.shape == (len(rows),), (name, a.dtype, a.shape)
            f.write(a.astype(a.dtype.newbyteorder("<")).tobytes())
        f.write(np.asarray(contribs, np.float64).astype("<f8").tobytes())
    meta = dict(name=name, trainer=spec["trainer"], version=version, model=name + "." + extension, world=spec["world"],
                columns=rows.shape[1], rows=len(rows), contribs=len(contribs))
    with open(path + ".meta", "w") as f:
        json.dump(meta, f, indent=1)
        f.write("\n")
    return name, time.time() - began


# The models.


def lightgbm_specs():
    def m(name, world, rounds, leaves=31, target="binary", objective="binary", **params):
        contribs = params.pop("contribs", CONTRIB_ROWS if rounds * leaves < 8000 else 4)
        return dict(name="lightgbm-" + name, trainer="lightgbm", world=world, rounds=rounds, target=target, contribs=contribs,
                    params=dict(objective=objective, num_leaves=leaves, **params))

    cats = dict(max_cat_threshold=64)
    return [
        m("1x2", "plain", 1, 2), m("1x255", "plain", 1, 255), m("10x31", "plain", 10), m("100x64", "plain", 100, 64),
        m("100x128", "plain", 100, 128), m("100x255", "plain", 100, 255), m("500x31", "plain", 500), m("500x255", "plain", 500, 255),
        m("200-stumps", "wide", 200, 2), m("wide-100x64", "wide", 100, 64), m("wide-500x64", "wide", 500, 64),
        m("missing", "missing", 100), m("missing-255", "missing", 60, 255), m("missing-unused", "missing", 100, use_missing=False),
        m("zeros", "zeros", 100), m("zero-as-missing", "zeros", 100, zero_as_missing=True), m("zero-as-missing-255", "zeros", 50, 255, zero_as_missing=True),
        m("infinite", "infinite", 80), m("infinite-zero-as-missing", "infinite", 50, zero_as_missing=True),
        m("categories", "categories", 100, **cats), m("categories-255", "categories", 50, 255, **cats),
        m("categories-one-hot", "categories", 50, max_cat_to_onehot=2000), m("categories-zero-as-missing", "categories", 50, zero_as_missing=True, **cats),
        m("categories-unused-missing", "categories", 50, use_missing=False, **cats),
        m("constant", "constant", 30), m("ties", "ties", 100), m("ties-255", "ties", 40, 255),
        m("dart", "plain", 100, boosting="dart", drop_rate=0.2), m("dart-xgboost", "missing", 80, boosting="dart", xgboost_dart_mode=True),
        m("dart-categories", "categories", 60, boosting="dart", **cats),
        m("forest", "plain", 60, 63, boosting="rf", bagging_freq=1, bagging_fraction=0.6, feature_fraction=0.7),
        m("forest-categories", "categories", 30, boosting="rf", bagging_freq=1, bagging_fraction=0.6, **cats),
        m("sigmoid-07", "plain", 50, sigmoid=0.7), m("sigmoid-3", "missing", 50, sigmoid=3.0),
        m("goss", "wide", 100, data_sample_strategy="goss"), m("extra-trees", "plain", 60, extra_trees=True),
        m("unbalanced", "wide", 60, scale_pos_weight=20), m("monotone", "plain", 60, monotone_constraints=[1, -1] + [0] * 10),
        m("cross-entropy", "missing", 60, target="rate", objective="cross_entropy"),
        m("regression", "plain", 100, target="value", objective="regression"), m("regression-l1", "zeros", 60, target="value", objective="regression_l1"),
        m("huber", "ties", 60, target="value", objective="huber"), m("quantile", "wide", 60, target="value", objective="quantile", alpha=0.8),
        m("poisson", "missing", 60, target="count", objective="poisson"), m("tweedie", "wide", 60, target="positive", objective="tweedie"),
        m("custom", "plain", 40, target="value", objective="none", custom=True),
    ]


def xgboost_specs():
    def m(name, world, rounds, depth=6, target="binary", objective="binary:logistic", **params):
        return dict(name="xgboost-" + name, trainer="xgboost", world=world, rounds=rounds, target=target,
                    params=dict(objective=objective, max_depth=depth, **params))

    def guided(name, world, rounds, leaves, **params):
        spec = m(name, world, rounds, **params)
        spec["params"].update(grow_policy="lossguide", max_depth=0, max_leaves=leaves)
        return spec

    return [
        m("1x2", "plain", 1, 1), m("1-depth-8", "plain", 1, 8), m("10", "plain", 10), m("100", "plain", 100), m("100-ubj", "plain", 100, file="ubj"),
        m("500", "plain", 500, 5, file="ubj"), guided("100x255", "plain", 100, 255, file="ubj"), guided("500x31", "wide", 500, 31, file="ubj"),
        guided("100x64", "wide", 100, 64), m("200-stumps", "wide", 200, 1), m("wide-ubj", "wide", 200, 6, file="ubj"),
        m("exact-pruned", "plain", 60, 7, tree_method="exact", gamma=2.0), m("exact-pruned-ubj", "missing", 60, 7, tree_method="exact", gamma=1.0, file="ubj"),
        m("approx", "missing", 60, tree_method="approx"), m("missing", "missing", 100), m("missing-ubj", "missing", 100, 8, file="ubj"),
        m("zeros", "zeros", 100), m("zero-as-missing", "zeros", 100, missing=0), m("infinite", "infinite", 80), m("infinite-ubj", "infinite", 50, file="ubj"),
        m("categories-one-hot", "categories", 60, max_cat_to_onehot=2000), m("categories-sets", "categories", 100, max_cat_to_onehot=1),
        m("categories-mixed", "categories", 60, max_cat_to_onehot=8, file="ubj"), m("constant", "constant", 30), m("ties", "ties", 100),
        m("dart", "plain", 100, booster="dart", rate_drop=0.2), m("dart-forest", "missing", 60, booster="dart", rate_drop=0.3, normalize_type="forest", file="ubj"),
        m("dart-categories", "categories", 50, booster="dart", rate_drop=0.2, one_drop=1, max_cat_to_onehot=4),
        m("dart-parallel", "missing", 20, 4, booster="dart", rate_drop=0.3, num_parallel_tree=3, subsample=0.5),
        m("forest", "plain", 1, 8, num_parallel_tree=60, subsample=0.6, colsample_bynode=0.6, eta=1),
        m("forest-rounds", "wide", 20, 5, num_parallel_tree=5, subsample=0.6, colsample_bynode=0.5, file="ubj"),
        m("base-score-001", "plain", 40, base_score=0.01), m("base-score-09", "missing", 40, base_score=0.9, file="ubj"),
        m("logitraw", "plain", 40, objective="binary:logitraw"), m("logitraw-base", "plain", 40, objective="binary:logitraw", base_score=0.2),
        m("unbalanced", "wide", 60, scale_pos_weight=20, max_delta_step=1), m("monotone", "plain", 40, monotone_constraints="(1,-1" + ",0" * 10 + ")"),
        m("rate", "missing", 50, target="rate", objective="reg:logistic"), m("squared", "plain", 100, target="value", objective="reg:squarederror"),
        m("squared-base", "zeros", 50, target="value", objective="reg:squarederror", base_score=-3.7), m("absolute", "ties", 40, target="value", objective="reg:absoluteerror"),
        m("pseudohuber", "wide", 40, target="value", objective="reg:pseudohubererror"), m("squaredlog", "plain", 40, target="positive", objective="reg:squaredlogerror"),
        m("quantile", "plain", 40, target="value", objective="reg:quantileerror", quantile_alpha=0.8),
        m("poisson", "missing", 50, target="count", objective="count:poisson"), m("gamma", "wide", 50, target="positive", objective="reg:gamma"),
        m("tweedie", "plain", 50, target="positive", objective="reg:tweedie", tweedie_variance_power=1.3),
        m("custom", "plain", 40, target="value", custom=True, base_score=0.5, objective="reg:squarederror"),
    ]


def small_specs():
    """A model of each kind, small enough to commit."""
    def m(name, trainer, world, rounds, target="binary", **params):
        return dict(name=name, trainer=trainer, world=world, rounds=rounds, target=target, params=params, train_rows=2000)

    lgb = dict(objective="binary", num_leaves=12)
    xgb = dict(objective="binary:logistic", max_depth=4)
    return [
        m("lightgbm-missing", "lightgbm", "missing", 12, **lgb), m("lightgbm-zero-as-missing", "lightgbm", "zeros", 12, zero_as_missing=True, **lgb),
        m("lightgbm-infinite", "lightgbm", "infinite", 8, **lgb), m("lightgbm-categories", "lightgbm", "categories", 10, max_cat_threshold=32, **lgb),
        m("lightgbm-dart", "lightgbm", "ties", 15, boosting="dart", drop_rate=0.3, **lgb),
        m("lightgbm-forest", "lightgbm", "plain", 8, boosting="rf", bagging_freq=1, bagging_fraction=0.6, **lgb),
        m("lightgbm-regression", "lightgbm", "missing", 10, target="value", objective="regression", num_leaves=7),
        m("xgboost-missing", "xgboost", "missing", 10, **xgb), m("xgboost-missing-ubj", "xgboost", "missing", 10, file="ubj", **xgb),
        m("xgboost-categories", "xgboost", "categories", 8, max_cat_to_onehot=4, **xgb), m("xgboost-categories-ubj", "xgboost", "categories", 8, max_cat_to_onehot=4, file="ubj", **xgb),
        m("xgboost-dart-ubj", "xgboost", "ties", 12, booster="dart", rate_drop=0.3, file="ubj", **xgb),
        m("xgboost-forest-ubj", "xgboost", "zeros", 3, num_parallel_tree=4, subsample=0.6, colsample_bynode=0.6, file="ubj", **xgb),
        m("xgboost-pruned", "xgboost", "plain", 8, tree_method="exact", gamma=2.0, **xgb),
        m("xgboost-squared", "xgboost", "zeros", 8, target="value", objective="reg:squarederror", max_depth=3),
    ]


def write_refused(out):
    """Models of kinds that the loaders refuse, as the trainers save them."""
    import lightgbm as lgb
    import xgboost as xgb

    x, _, score = world("plain", 400, 5)
    y, classes = targets("binary", score, 5), (np.arange(400) % 3).astype(float)
    os.makedirs(out, exist_ok=True)
    for name, label, params in (("multiclass", classes, dict(objective="multiclass", num_class=3)), ("ova", classes, dict(objective="multiclassova", num_class=3)),
                                ("linear-tree", y, dict(objective="binary", linear_tree=True)), ("sqrt", y, dict(objective="regression", reg_sqrt=True)),
                                ("ranking", y, dict(objective="lambdarank", label_gain=[0, 1]))):
        group = [100] * 4 if name == "ranking" else None
        bst = lgb.train(dict(params, num_leaves=3, num_threads=1, verbose=-1), lgb.Dataset(x, label, group=group, params=dict(linear_tree=name == "linear-tree")), 2)
        with open(os.path.join(out, f"lightgbm-{name}.txt"), "w") as f:
            f.write(bst.model_to_string().split("\nfeature_importances", 1)[0] + "\n")
    two = np.stack([y, 1 - y], axis=1)
    for name, label, params in (("softprob", classes, dict(objective="multi:softprob", num_class=3)), ("linear", y, dict(objective="binary:logistic", booster="gblinear")),
                                ("outputs", two, dict(objective="reg:squarederror")), ("vector-leaf", two, dict(objective="reg:squarederror", multi_strategy="multi_output_tree")),
                                ("ranking", y, dict(objective="rank:pairwise")), ("hinge", y, dict(objective="binary:hinge"))):
        d = xgb.DMatrix(x, label, qid=np.repeat(np.arange(4), 100) if name == "ranking" else None)
        bst = xgb.train(dict(params, max_depth=1, nthread=1, verbosity=0), d, 2)
        bst.save_model(os.path.join(out, f"xgboost-{name}.json"))
        if name == "softprob":
            bst.save_model(os.path.join(out, f"xgboost-{name}.ubj"))
            with open(os.path.join(out, "xgboost-snapshot.ubj"), "wb") as f:
                f.write(bst.serialize() if hasattr(bst, "serialize") else bytes(bst.__getstate__()["handle"]))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True, help="folder for the goldens; made if absent")
    p.add_argument("--small", action="store_true", help="the committed set instead of the full one")
    p.add_argument("--only", default="", help="only models whose name has one of these, parted by commas, in it")
    p.add_argument("--prefix", default="", help="in place of the trainer in every name, for another version of it: xgboost1.7")
    p.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4))
    a = p.parse_args()
    specs = small_specs() if a.small else lightgbm_specs() + xgboost_specs()
    specs = [s for s in specs if any(o in s["name"] for o in a.only.split(","))]
    os.makedirs(a.out, exist_ok=True)
    began = time.time()
    jobs = [(s, a.out, SMALL_ROWS if a.small else ROWS, a.prefix) for s in specs]
    jobs.sort(key=lambda j: -j[0]["rounds"] * j[0]["params"].get("num_leaves", 50))
    slowest = []
    with multiprocessing.get_context("spawn").Pool(a.jobs) as pool:
        for name, seconds in pool.imap_unordered(make, jobs):
            slowest.append((seconds, name))
    if a.small and not a.only:
        write_refused(os.path.join(a.out, "refused"))
    rows = sum(j[2] for j in jobs)
    print(f"goldens: {len(jobs)} models, {rows} rows in {a.out}, {time.time() - began:.0f} s; slowest:",
          ", ".join(f"{n} {s:.0f} s" for s, n in sorted(slowest, reverse=True)[:3]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
