"""LightGBM and XGBoost behind one form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from .schema import Schema


@dataclass(frozen=True)
class Params:
    """What both trainers are told."""

    trees: int
    leaves: int
    rate: float
    rows_in_leaf: int
    # How much a category must show before a split believes it, and how many
    # one side of a split may have: few positives, many categories overfit.
    category_smooth: float = 20
    category_threshold: int = 32
    seed: int = 1
    threads: int = 2
    # Numbers of the columns that the model may read; None: all.
    columns: tuple[int, ...] | None = None


class Model(Protocol):
    """A trained forest."""

    suffix: str

    def raw(self, rows: np.ndarray) -> np.ndarray: ...
    def text(self) -> str: ...


def _only(rows: np.ndarray, columns: tuple[int, ...] | None) -> np.ndarray:
    """Rows in which a model sees nothing but its columns: missing everywhere
    else, so no tree splits there and the row's layout stays the schema's."""
    if columns is None:
        return rows
    out = np.full_like(rows, np.nan)
    out[:, list(columns)] = rows[:, list(columns)]
    return out


class LightGBM:
    """A LightGBM text model."""

    suffix = "txt"

    def __init__(self, schema: Schema, rows: np.ndarray, label: np.ndarray, p: Params) -> None:
        import lightgbm

        categorical = [c for c in schema.categorical if p.columns is None or c in p.columns]
        data = lightgbm.Dataset(
            _only(rows, p.columns), label.astype(np.float64), feature_name=schema.names, categorical_feature=categorical,
            params={"verbose": -1, "max_bin": 255, "seed": p.seed, "num_threads": p.threads},
        )
        self._booster = lightgbm.train(
            {
                "objective": "binary", "num_leaves": p.leaves, "learning_rate": p.rate, "min_data_in_leaf": p.rows_in_leaf,
                "cat_smooth": p.category_smooth, "max_cat_threshold": p.category_threshold, "lambda_l2": 1, "seed": p.seed, "num_threads": p.threads, "deterministic": True,
                "force_row_wise": True, "verbose": -1,
            },
            data, p.trees,
        )

    def raw(self, rows: np.ndarray) -> np.ndarray:
        return self._booster.predict(rows, raw_score=True)

    def text(self) -> str:
        # The list of parameters at the end holds paths and thread counts of the
        # training machine and is read by no one.
        text = self._booster.model_to_string()
        return text[: text.index("\nparameters:")] + "\n"


class XGBoost:
    """An XGBoost JSON model."""

    suffix = "json"

    def __init__(self, schema: Schema, rows: np.ndarray, label: np.ndarray, p: Params) -> None:
        import xgboost

        self._xgb = xgboost
        self._types = ["c" if c.categorical else "q" for c in schema.columns]
        self._names = schema.names
        self._booster = xgboost.train(
            {
                "objective": "binary:logistic", "max_leaves": p.leaves, "max_depth": 0, "grow_policy": "lossguide",
                "eta": p.rate, "min_child_weight": max(1.0, p.rows_in_leaf * float(label.mean())), "tree_method": "hist",
                "seed": p.seed, "nthread": p.threads, "max_cat_to_onehot": 4, "max_cat_threshold": p.category_threshold,
            },
            self._matrix(_only(rows, p.columns), label), p.trees,
        )

    def _matrix(self, rows: np.ndarray, label: np.ndarray | None = None):
        return self._xgb.DMatrix(rows, label, feature_names=self._names, feature_types=self._types, enable_categorical=True)

    def raw(self, rows: np.ndarray) -> np.ndarray:
        return self._booster.predict(self._matrix(rows), output_margin=True).astype(np.float64)

    def text(self) -> str:
        return self._booster.save_raw("json").decode()


TRAINERS = {"lightgbm": LightGBM, "xgboost": XGBoost}


def write(model: Model, path: Path) -> Path:
    """Writes the model as its trainer does; the file's name says which."""
    path = path.with_suffix("." + model.suffix)
    path.write_text(model.text(), encoding="utf-8")
    return path


def context_only(p: Params, schema: Schema) -> Params:
    """The same for the model that serves when the user's features are late."""
    return replace(p, columns=tuple(schema.indices("context", "ad")))
