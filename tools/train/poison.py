"""Plants traffic that no person made, to see whether the checks find it."""

from __future__ import annotations

import numpy as np

from .eventlog import Log
from .schema import Words

KINDS = ("ctr_spike", "low_entropy", "mechanical")


def _with_clicks(log: Log, rows: np.ndarray, delay: np.ndarray) -> Log:
    row = np.r_[log.click_row, rows]
    time = np.r_[log.click_time, log.time[rows] + delay]
    order = np.argsort(time, kind="stable")
    log.click_row, log.click_time = row[order], time[order]
    return log


def poison(log: Log, kind: str, seed: int) -> Log:
    """The log with one kind of poison; the victims are the busiest sources."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    publisher = log.inputs["context.publisher"].codes
    busy = np.argsort(-np.bincount(publisher[publisher >= 0]))
    hour = (log.time - log.time[0]) // 3_600_000
    clicked = np.zeros(len(log), bool)
    clicked[log.click_row] = True
    if kind == "ctr_spike":  # an hour of a publisher in which everything is clicked
        rows = np.flatnonzero((publisher == busy[0]) & (hour == hour[-1] // 2) & ~clicked)
        return _with_clicks(log, rows, rng.lognormal(8, 1, len(rows)).astype(np.int64))
    if kind == "low_entropy":  # a publisher's traffic from a rack of machines
        rows = np.flatnonzero(publisher == busy[1])
        for key in ("user", "ip", "ua"):
            words = log.keys[key]
            codes = words.codes.copy()
            codes[rows] = rng.integers(0, 6, len(rows))
            log.keys[key] = Words(codes, words.words)
        return log
    # One address clicks a steady share of what it is shown after two seconds.
    rows = np.flatnonzero((publisher == busy[2]) & (rng.random(len(log)) < 0.05) & ~clicked)
    address = log.keys["ip"]
    codes = address.codes.copy()
    codes[rows] = codes[rows[0]]
    log.keys["ip"] = Words(codes, address.words)
    bot = rows[rng.random(len(rows)) < 0.2]
    return _with_clicks(log, bot, rng.integers(1980, 2020, len(bot)))
