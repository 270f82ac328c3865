"""The event log as Parquet, and how it is held in memory.

    impressions.parquet  one row an impression: what was known when it was served
    clicks.parquet       impression, time
    conversions.parquet  impression, time
    truth.parquet        impression, true CTR and CVR (a synthetic log only)

Columns of impressions: `impression` (id), `time` (ms), `user` (null where the
request had no id), `creative`, `line`, `advertiser`, `publisher`, `ip`, `ua`,
`propensity`, and the raw inputs that do not depend on the past, under the names
that schema.json gives them. What depends on the past is not in the log: the
trainer counts it itself, as of each impression (join.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .schema import Words

KEYS = ("user", "creative", "line", "advertiser", "ip", "ua")


class LogError(Exception):
    """A log that cannot be read; the message names the file and the remedy."""


@dataclass
class Log:
    """Impressions in the order of time, and the events that followed."""

    time: np.ndarray  # int64 ms
    keys: dict[str, Words]  # of KEYS
    inputs: dict[str, "np.ndarray | Words"]  # raw inputs by their schema's name
    propensity: np.ndarray
    click_row: np.ndarray  # impression's row, in the order of click_time
    click_time: np.ndarray
    conversion_row: np.ndarray
    conversion_time: np.ndarray
    truth: dict[str, np.ndarray] = field(default_factory=dict)  # ctr, cvr

    def __len__(self) -> int:
        return len(self.time)

    def take(self, keep: np.ndarray) -> "Log":
        """The log of the rows where keep is true, with their events."""
        place = np.cumsum(keep) - 1

        def events(row: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            kept = keep[row]
            return place[row[kept]], time[kept]

        def rows(v):
            return v.take(np.flatnonzero(keep)) if isinstance(v, Words) else v[keep]

        return Log(
            self.time[keep],
            {k: rows(v) for k, v in self.keys.items()},
            {k: rows(v) for k, v in self.inputs.items()},
            self.propensity[keep],
            *events(self.click_row, self.click_time),
            *events(self.conversion_row, self.conversion_time),
            {k: v[keep] for k, v in self.truth.items()},
        )


def _to_arrow(v: "np.ndarray | Words") -> pa.Array:
    if isinstance(v, Words):
        codes = pa.array(v.codes, mask=v.codes < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array([w.decode("utf-8", "replace") for w in v.words], pa.string()))
    return pa.array(v, mask=np.isnan(v) if v.dtype.kind == "f" else None)


def _from_arrow(column: pa.ChunkedArray) -> "np.ndarray | Words":
    kind = column.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        if not pa.types.is_dictionary(kind):
            column = column.dictionary_encode()
        array = column.unify_dictionaries().combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], pa.string()))
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        return Words(codes, [w.encode() for w in array.dictionary.to_pylist()])
    return column.cast(pa.float64()).to_numpy().astype(np.float64)


def write(log: Log, directory: Path) -> None:
    """Writes the four files."""
    directory.mkdir(parents=True, exist_ok=True)
    ids = np.arange(len(log), dtype=np.int64)
    columns: dict = {"impression": pa.array(ids), "time": pa.array(log.time, pa.timestamp("ms"))}
    columns |= {k: _to_arrow(v) for k, v in log.keys.items()}
    columns |= {k: _to_arrow(v) for k, v in log.inputs.items()}
    columns["propensity"] = pa.array(log.propensity)
    pq.write_table(pa.table(columns), directory / "impressions.parquet")
    for name, row, time in (("clicks", log.click_row, log.click_time), ("conversions", log.conversion_row, log.conversion_time)):
        pq.write_table(pa.table({"impression": ids[row], "time": pa.array(time, pa.timestamp("ms"))}), directory / f"{name}.parquet")
    if log.truth:
        pq.write_table(pa.table({"impression": ids} | log.truth), directory / "truth.parquet")


def _read(directory: Path, name: str) -> pa.Table:
    path = directory / f"{name}.parquet"
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as e:
        raise LogError(f"{path}: {e}; write one with `python -m tools.train synth`, or export the event log") from e


def read(directory: Path) -> Log:
    """Reads a log, in the order of time whatever the order in the files."""
    table = _read(directory, "impressions")
    missing = [c for c in ("impression", "time", "propensity", *KEYS) if c not in table.column_names]
    if missing:
        raise LogError(f"{directory}/impressions.parquet: no column {', '.join(missing)}; tools/train/eventlog.py names them all")
    time = table["time"].cast(pa.timestamp("ms")).cast(pa.int64()).to_numpy()
    order = np.argsort(time, kind="stable")
    ids = table["impression"].to_numpy()[order]
    if len(np.unique(ids)) != len(ids):
        raise LogError(f"{directory}/impressions.parquet: an impression is there twice; export each once")
    by_id = np.argsort(ids, kind="stable")

    def rows_of(wanted: np.ndarray, file: str) -> np.ndarray:
        at = np.searchsorted(ids[by_id], wanted)
        if len(wanted) and ((at >= len(ids)) | (ids[by_id[np.minimum(at, len(ids) - 1)]] != wanted)).any():
            raise LogError(f"{directory}/{file}.parquet: an event of an impression that is not there; export both of the same days")
        return by_id[at]

    def events(name: str) -> tuple[np.ndarray, np.ndarray]:
        t = _read(directory, name)
        when = t["time"].cast(pa.timestamp("ms")).cast(pa.int64()).to_numpy()
        row = rows_of(t["impression"].to_numpy(), name)
        first = np.argsort(when, kind="stable")
        return row[first], when[first]

    def column(name: str):
        v = _from_arrow(table[name])
        return v.take(order) if isinstance(v, Words) else v[order]

    inputs = {n: column(n) for n in table.column_names if "." in n}
    truth = {}
    if (directory / "truth.parquet").exists():
        t = _read(directory, "truth")
        place = np.empty(len(ids), np.int64)
        place[rows_of(t["impression"].to_numpy(), "truth")] = np.arange(len(ids))
        truth = {n: t[n].to_numpy()[place] for n in ("ctr", "cvr")}
    return Log(time[order], {k: column(k) for k in KEYS}, inputs, column("propensity"), *events("clicks"), *events("conversions"), truth)
