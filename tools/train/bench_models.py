"""Trains the models that bench/models measures, with both trainers, and draws the rows they are measured on.

    python tools/train/bench_models.py OUT

The data is a synthetic click log: 50 user, 20 context, 30 ad and 50 user × ad columns, a logistic truth with effects in
each group. What a benchmark needs to choose is the share of a model's inner nodes that test a user × ad column (0, 10 and
33 %), for that is what the factorised kernels depend on. It is set by how many of the 50 columns vary in the training
data, found by bisection on a short run of the trainer itself; the share of the full model is recorded in models.json.

Each model has 500 trees, grown leaf by leaf to exactly the leaf count where the data allows. A boosted model's first 100
trees are what 100 rounds would have trained, so the models of 100 trees are prefixes.

OUT gets lightgbm-T-L-C.txt, xgboost-T-L-C.json, models.json, and rows as little-endian float32: requests.f32 (×70), ads.f32 (×30),
cross.f32 (×50). Nothing is trained twice: a complete OUT is left alone.
"""

import json
import pathlib
import sys

import lightgbm
import numpy
import xgboost

USER, CONTEXT, AD, CROSS = 50, 20, 30, 50
FIXED = USER + CONTEXT + AD
ROWS, TREES, SHORT = 30_000, 500, 30
LEAVES, SHARES = (31, 64, 255), (0, 10, 33)
FORMAT = 1


def columns(rng, rows, count):
    """Three shapes that real columns have: smooth, counts, rates."""
    x = numpy.empty((rows, count), numpy.float32)
    for c in range(count):
        if c % 3 == 0:
            x[:, c] = rng.normal(size=rows)
        elif c % 3 == 1:
            x[:, c] = rng.poisson(3 + c % 7, size=rows)
        else:
            x[:, c] = rng.beta(2, 5, size=rows)
    return x


def click_log(rng, live):
    x = columns(rng, ROWS, FIXED + CROSS)
    x[:, FIXED + live:] = 0
    z = (x - x.mean(0)) / (x.std(0) + 1e-6)
    weights = rng.normal(size=FIXED + CROSS) * 0.25
    logit = z @ weights - 2
    for _ in range(60):
        a, b = rng.integers(0, FIXED + max(live, 1), 2)
        logit += 0.15 * z[:, a] * z[:, b]
    return x, (rng.random(ROWS) < 1 / (1 + numpy.exp(-logit))).astype(numpy.float32)


def train_lightgbm(x, y, leaves, trees):
    return lightgbm.train(
        dict(objective="binary", num_leaves=leaves, learning_rate=0.05, min_data_in_leaf=5, min_sum_hessian_in_leaf=1e-3,
             num_threads=2, verbose=-1, seed=1, deterministic=True, force_col_wise=True),
        lightgbm.Dataset(x, y), trees)


def train_xgboost(x, y, leaves, trees):
    return xgboost.train(
        dict(objective="binary:logistic", tree_method="hist", grow_policy="lossguide", max_leaves=leaves, max_depth=0,
             learning_rate=0.05, min_child_weight=0.01, reg_lambda=1, nthread=2, seed=1),
        xgboost.DMatrix(x, y), trees)


def shape_lightgbm(model):
    """Leaves of each tree, and the feature of each inner node."""
    leaves, features = [], []

    def walk(node):
        if "leaf_value" in node:
            return 1
        features.append(node["split_feature"])
        return walk(node["left_child"]) + walk(node["right_child"])

    for tree in model.dump_model()["tree_info"]:
        leaves.append(walk(tree["tree_structure"]))
    return leaves, features


def shape_xgboost(model):
    leaves, features = [], []
    for tree in json.loads(model.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]:
        inner = [f for f, left in zip(tree["split_indices"], tree["left_children"]) if left >= 0]
        features += inner
        leaves.append(len(inner) + 1)
    return leaves, features


TRAINERS = {"lightgbm": (train_lightgbm, shape_lightgbm), "xgboost": (train_xgboost, shape_xgboost)}


def cross_share(features):
    return sum(f >= FIXED for f in features) / max(1, len(features))


def live_columns(train, shape, leaves, share):
    """How many user × ad columns must vary for this share of nodes."""
    if share == 0:
        return 0
    best, low, high = (1.0, 0), 1, CROSS
    while low <= high:
        middle = (low + high) // 2
        x, y = click_log(numpy.random.default_rng(7), middle)
        got = cross_share(shape(train(x, y, leaves, SHORT))[1])
        best = min(best, (abs(got - share / 100), middle))
        if got < share / 100:
            low = middle + 1
        else:
            high = middle - 1
    return best[1]


def main():
    out = pathlib.Path(sys.argv[1])
    index = out / "models.json"
    if index.exists() and json.loads(index.read_text()).get("format") == FORMAT:
        return
    out.mkdir(parents=True, exist_ok=True)
    rng = numpy.random.default_rng(11)
    for name, rows, count in ("requests", 256, USER + CONTEXT), ("ads", 100_000, AD), ("cross", 20_000, CROSS):
        columns(rng, rows, count).astype("<f4").tofile(out / f"{name}.f32")
    models = []
    for trainer, (train, shape) in TRAINERS.items():
        for leaves in LEAVES:
            for share in SHARES:
                live = live_columns(train, shape, leaves, share)
                x, y = click_log(numpy.random.default_rng(7), live)
                model = train(x, y, leaves, TREES)
                for trees in 100, TREES:
                    if trainer == "lightgbm":
                        file = f"lightgbm-{trees}-{leaves}-{share}.txt"
                        model.save_model(out / file, num_iteration=trees)
                        part = lightgbm.Booster(model_file=out / file)
                    else:
                        file = f"xgboost-{trees}-{leaves}-{share}.json"
                        part = model[:trees]
                        part.save_model(out / file)
                    counts, features = shape(part)
                    models.append(dict(file=file, trainer=trainer, trees=trees, leaves=leaves, share=share,
                                       mean_leaves=sum(counts) / len(counts), cross_share=cross_share(features)))
                    print(f"{file}: {models[-1]['mean_leaves']:.1f} leaves a tree, {100 * models[-1]['cross_share']:.1f} % of nodes user × ad",
                          flush=True)
    index.write_text(json.dumps(dict(format=FORMAT, lightgbm=lightgbm.__version__, xgboost=xgboost.__version__, models=models), indent=1))


if __name__ == "__main__":
    main()
