"""Point-in-time joins: for each impression what was known when it was served,
and what came of it within the attribution window.

Nothing that is younger than the impression reaches its features. `leaks` checks
that from outside: it cuts the log at a time, joins again, and compares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .eventlog import Log
from .profile import Happenings, replay
from .schema import Words

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class JoinConfig:
    """Windows and how often the server refreshes what it knows of its ads."""

    click_window_ms: int = HOUR_MS // 2
    conversion_window_ms: int = DAY_MS // 2
    ad_refresh_ms: int = HOUR_MS


@dataclass
class Joined:
    """Inputs of every impression, and its labels."""

    inputs: dict[str, "np.ndarray | Words"]
    click: np.ndarray  # bool: within the window
    conversion: np.ndarray  # bool: of that click, within its window
    # When the labels were settled: no younger event changes them.
    click_settled: np.ndarray
    conversion_settled: np.ndarray


def count_events_before(key: np.ndarray, time: np.ndarray, event_key: np.ndarray, event_time: np.ndarray) -> np.ndarray:
    """For each (key, time) how many events of the key are strictly older."""
    low = min(time.min(initial=0), event_time.min(initial=0))
    span = max(time.max(initial=0), event_time.max(initial=0)) - low + 2
    events = np.sort(event_key * span + (event_time - low))
    return np.searchsorted(events, key * span + (time - low), side="left") - np.searchsorted(events, key * span, side="left")


def _first(rows: np.ndarray, times: np.ndarray, n: int) -> np.ndarray:
    """Each row's first event, or the largest time there is."""
    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, rows, times)
    return first


def join(log: Log, config: JoinConfig = JoinConfig()) -> Joined:
    """Features and labels of every impression of the log."""
    inputs = dict(log.inputs)
    hour = log.time // HOUR_MS
    inputs["context.hour_utc"] = (hour % 24).astype(np.float64)
    inputs["context.weekday"] = ((log.time // DAY_MS + 3) % 7).astype(np.float64)  # 1970 began on a Thursday
    _join_users(log, inputs)
    _join_ads(log, config, inputs)

    n = len(log)
    never = np.iinfo(np.int64).max
    first_click = _first(log.click_row, log.click_time, n)
    click_settled = log.time + config.click_window_ms
    click = first_click < click_settled
    conversion_settled = np.where(click, first_click, 0) + config.conversion_window_ms
    first_conversion = np.where(click, _first(log.conversion_row, log.conversion_time, n), never)
    return Joined(inputs, click, first_conversion < conversion_settled, click_settled, conversion_settled)


def _join_users(log: Log, inputs: dict) -> None:
    user = log.keys["user"].codes
    known = np.flatnonzero(user >= 0)
    place = np.full(len(log), -1)
    place[known] = np.arange(len(known))
    mine = place[log.click_row] >= 0
    category = inputs["ad.category"]
    seen = replay(
        Happenings(
            user[known],
            log.time[known],
            log.keys["advertiser"].codes[known] + 1,
            category.codes[known] + 1,
            log.keys["line"].codes[known] + 1,
            place[log.click_row[mine]],
            log.click_time[mine],
        )
    )
    inputs["user.known"] = (user >= 0).astype(np.float64)
    for name, values in seen.items():
        column = np.full(len(log), np.nan)
        column[known] = values
        inputs[name] = column


def _join_ads(log: Log, config: JoinConfig, inputs: dict) -> None:
    creative = log.keys["creative"].codes.astype(np.int64)
    refreshed = log.time // config.ad_refresh_ms * config.ad_refresh_ms
    for name, key, time in (
        ("impressions", creative, log.time),
        ("clicks", creative[log.click_row], log.click_time),
        ("conversions", creative[log.conversion_row], log.conversion_time),
    ):
        inputs[f"ad.{name}"] = count_events_before(creative, refreshed, key, time).astype(np.float64)


def leaks(log: Log, joined: Joined, cut: int, config: JoinConfig = JoinConfig()) -> list[str]:
    """Names of the inputs that rows before the cut would have had otherwise if
    the world had ended there: inputs that know the future."""
    early = log.time < cut
    past = log.take(early)
    clicks, conversions = past.click_time < cut, past.conversion_time < cut
    past.click_row, past.click_time = past.click_row[clicks], past.click_time[clicks]
    past.conversion_row, past.conversion_time = past.conversion_row[conversions], past.conversion_time[conversions]
    again = join(past, config)
    found = []
    for name, value in joined.inputs.items():
        then, now = again.inputs.get(name), value
        if isinstance(now, Words):
            same = then is not None and all(a == b for a, b in zip(now.codes[early], then.codes))
        else:
            same = then is not None and np.allclose(now[early], then, rtol=1e-9, atol=1e-12, equal_nan=True)
        if not same:
            found.append(name)
    return found
