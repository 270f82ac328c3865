"""The directory that `millrace model sign` packs and signs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from .calibrate import Calibration
from .schema import Schema
from .trainers import Model, write

PARTS = ("ctr", "cvr", "context")
GOLDEN_ROWS = 40


@dataclass
class Trained:
    """A model with its calibration."""

    model: Model
    calibration: Calibration

    def predict(self, rows: np.ndarray, segment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raw scores and probabilities."""
        raw = self.model.raw(rows)
        return raw, self.calibration(raw, segment)


def _number(v: np.floating) -> float | None:
    return None if np.isnan(v) else float(v)


def golden(models: dict[str, Trained], rows: np.ndarray, segment: np.ndarray) -> dict:
    """Rows and what each model makes of them."""
    predicted = {name: m.predict(rows, segment) for name, m in models.items()}
    out = []
    for i, row in enumerate(rows):
        cell: dict = {"x": [_number(v) for v in row]}
        for name in PARTS:
            raw, p = predicted[name]
            cell |= {f"{name}_raw": float(raw[i]), name: float(p[i])}
        out.append(cell)
    return {"rows": out}


def golden_rows(rows: np.ndarray, seed: int) -> np.ndarray:
    """Rows to keep: real ones, and real ones with values knocked out, one of
    them all missing."""
    rng = np.random.default_rng(seed)
    pick = rows[rng.choice(len(rows), GOLDEN_ROWS, replace=len(rows) < GOLDEN_ROWS)].copy()
    half = GOLDEN_ROWS // 2
    pick[half:][rng.random((GOLDEN_ROWS - half, rows.shape[1])) < 0.3] = np.nan
    pick[-1] = np.nan
    return pick


def write_directory(
    directory: Path, name: str, version: int, schema: Schema, models: dict[str, Trained],
    rows: np.ndarray, segment_column: int, metrics: dict, data: dict,
) -> None:
    """Writes all files of the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    parts = {part: write(models[part].model, directory / part).name for part in PARTS}
    _json(directory / "calibration.json", {part: models[part].calibration.to_json() for part in PARTS})
    _json(directory / "golden.json", golden(models, rows, rows[:, segment_column]))
    (directory / "schema.json").write_bytes(schema.text)
    _json(
        directory / "manifest.json",
        {
            "format": 1,
            "name": name,
            "version": version,
            "created": datetime.fromtimestamp(version, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "schema_sha256": schema.sha256,
            "parts": parts | {"calibration": "calibration.json", "golden": "golden.json", "schema": "schema.json"},
            "metrics": metrics,
            "data": data,
        },
        indent=1,
    )


def _json(path: Path, value: dict, indent: int | None = None) -> None:
    separators = (",", ":") if indent is None else None
    path.write_text(json.dumps(value, indent=indent, separators=separators, allow_nan=False) + "\n", encoding="utf-8")
