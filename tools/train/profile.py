"""What the server would have remembered of each user, at each impression.

The twin of the Go package state/profile: counts that fade to 1/e in a day or in
30 days, and short lists of the advertisers, categories and line items that the
user met last. All users take their k-th event together, so the loop is as long
as the busiest user's history, and each turn is a few array operations.

An impression is read before anything of the same millisecond is counted:
features are of events strictly before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY_MS = 86_400_000.0
MONTH_MS = 30 * DAY_MS
HOUR_MS = 3_600_000.0
# How many the server remembers of each.
ADVERTISERS, CATEGORIES, LINES = 8, 4, 4

_READ, _IMPRESSION, _CLICK = 0, 1, 2

USER_INPUTS = ("impressions_1d", "clicks_1d", "impressions_30d", "clicks_30d", "hours_since_impression", "hours_since_click")


@dataclass
class Happenings:
    """Impressions and clicks in any order. Subjects are numbers from 1; 0 is none."""

    user: np.ndarray  # of each impression, ≥ 0
    time: np.ndarray
    advertiser: np.ndarray
    category: np.ndarray
    line: np.ndarray
    click_row: np.ndarray
    click_time: np.ndarray


class _Affinities:
    """The user × subject lists of one kind."""

    def __init__(self, users: int, size: int) -> None:
        self.key = np.zeros((users, size), np.int64)
        self.seen = np.zeros((users, size))  # whole seconds
        self.impressions = np.zeros((users, size))
        self.clicks = np.zeros((users, size))

    def find(self, users: np.ndarray, key: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Impressions, clicks and seconds since (NaN: never)."""
        match = (self.key[users] == key[:, None]) & (key[:, None] != 0)
        at, there = match.argmax(axis=1), match.any(axis=1)
        since = np.maximum(np.floor(now / 1000) - self.seen[users, at], 0)
        left = np.where(there, np.exp(-since * 1000 / MONTH_MS), 0)
        return self.impressions[users, at] * left, self.clicks[users, at] * left, np.where(there, since, np.nan)

    def note(self, users: np.ndarray, key: np.ndarray, click: np.ndarray, now: np.ndarray) -> None:
        """Counts an event: in its entry, in an empty one, or in that of the
        subject met longest ago."""
        users, key, click, now = (a[key != 0] for a in (users, key, click, np.floor(now / 1000)))
        keys = self.key[users]
        match = keys == key[:, None]
        oldest = np.where(keys == 0, -1.0, self.seen[users]).argmin(axis=1)
        there = match.any(axis=1)
        at = np.where(there, match.argmax(axis=1), oldest)
        left = np.where(there, np.exp(-np.maximum(now - self.seen[users, at], 0) * 1000 / MONTH_MS), 0)
        self.key[users, at] = key
        self.seen[users, at] = now
        self.impressions[users, at] = self.impressions[users, at] * left + ~click
        self.clicks[users, at] = self.clicks[users, at] * left + click


def replay(h: Happenings) -> dict[str, np.ndarray]:
    """User and cross inputs of every impression, by their schema's name."""
    n = len(h.user)
    out = {f"user.{name}": np.empty(n) for name in USER_INPUTS}
    for name in ("line_impressions", "advertiser_impressions", "advertiser_clicks", "category_impressions", "category_clicks", "hours_since_advertiser"):
        out[f"cross.{name}"] = np.empty(n)
    rows = np.concatenate([np.arange(n), np.arange(n), h.click_row])
    time = np.concatenate([h.time, h.time, h.click_time]).astype(np.float64)
    kind = np.repeat([_READ, _IMPRESSION, _CLICK], [n, n, len(h.click_row)])
    # Users by how much they did, so that those with a k-th event come first.
    _, dense, events = np.unique(h.user[rows], return_inverse=True, return_counts=True)
    rank = np.empty(len(events), np.int64)
    busiest = np.argsort(-events, kind="stable")
    rank[busiest] = np.arange(len(events))
    order = np.lexsort((kind, time, rank[dense]))
    rows, time, kind = rows[order], time[order] - (time.min() if n else 0), kind[order]
    events = events[busiest]
    first = np.r_[0, np.cumsum(events)[:-1]]

    users = len(events)
    counts = np.zeros((users, 4))  # impressions 1d, clicks 1d, impressions 30d, clicks 30d
    updated = np.zeros(users)
    last = np.full((users, 2), np.nan)  # impression, click
    advertisers, categories, lines = _Affinities(users, ADVERTISERS), _Affinities(users, CATEGORIES), _Affinities(users, LINES)
    fading = np.array([DAY_MS, DAY_MS, MONTH_MS, MONTH_MS])
    active = users
    for k in range(int(events[0]) if users else 0):
        while events[active - 1] <= k:
            active -= 1
        at = first[:active] + k
        row, now, what = rows[at], time[at], kind[at]
        counts[:active] *= np.exp(-(now - updated[:active])[:, None] / fading)
        updated[:active] = now
        read = np.flatnonzero(what == _READ)
        if len(read):
            r, t = row[read], now[read]
            for i, name in enumerate(USER_INPUTS[:4]):
                out[f"user.{name}"][r] = counts[read, i]
            for i, name in enumerate(USER_INPUTS[4:]):
                out[f"user.{name}"][r] = (t - last[read, i]) / HOUR_MS
            out["cross.line_impressions"][r], _, _ = lines.find(read, h.line[r], t)
            impressions, clicks, since = advertisers.find(read, h.advertiser[r], t)
            out["cross.advertiser_impressions"][r], out["cross.advertiser_clicks"][r] = impressions, clicks
            out["cross.hours_since_advertiser"][r] = since / 3600
            out["cross.category_impressions"][r], out["cross.category_clicks"][r], _ = categories.find(read, h.category[r], t)
        add = np.flatnonzero(what != _READ)
        if len(add):
            r, t, click = row[add], now[add], what[add] == _CLICK
            counts[add, 0] += ~click
            counts[add, 2] += ~click
            counts[add, 1] += click
            counts[add, 3] += click
            last[add, click.astype(np.int64)] = t
            advertisers.note(add, h.advertiser[r], click, t)
            categories.note(add, h.category[r], click, t)
            lines.note(add, h.line[r], click, t)
    return out
