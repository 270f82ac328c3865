"""Finds rows that no person made, and takes them out before they are counted.

    ctr_spike    an hour in which a publisher, ad or line item was clicked far above its own rate
    low_entropy  a publisher whose impressions come from a handful of users, addresses or browsers
    mechanical   clicks of an address or publisher that follow their impressions like clockwork

Each check compares a source with itself or with its like, so none has a number
that fits one market. "Above 3 sigma" is meant of the whole log: with a hundred
thousand hours looked at, three sigma of one of them happens all day, so the
chance of a normal variable beyond 3 is divided by the number of looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binom, norm

from .eventlog import Log
from .schema import Words

HOUR_MS = 3_600_000
THREE_SIGMA = float(norm.sf(3))

# A spike is at least so many times the source's own rate: users and hours
# differ, which a binomial does not know.
SPIKE_RATIO = 2.5
SPIKE_CLICKS = 10
# Diversity is measured on so many impressions of each source.
ENTROPY_SAMPLE = 400
# and is low at a fifth of what the middle source has, and beyond 3 sigma.
ENTROPY_SHARE = 0.2
# People need 200 ms to see and hit an ad, and are not regular.
FASTEST_MS = 200
MECHANICAL_CLICKS = 20
# Half of a source's clicks within a tenth of one delay: of people's, a twentieth.
MECHANICAL_WIDTH = 0.1
MECHANICAL_SHARE = 0.5
FAST_SHARE = 0.5


@dataclass(frozen=True)
class Finding:
    """One reason to take rows out."""

    check: str
    source: str
    why: str
    rows: int


@dataclass
class Quarantine:
    """What is kept, and why the rest is not."""

    keep: np.ndarray
    findings: list[Finding] = field(default_factory=list)

    def take(self, rows: np.ndarray, check: str, source: str, why: str) -> None:
        self.keep[rows] = False
        self.findings.append(Finding(check, source, why, len(rows)))

    def report(self) -> dict:
        """As it stands in report.json."""
        return {
            "rows": len(self.keep),
            "quarantined": int((~self.keep).sum()),
            "findings": [vars(f) for f in self.findings],
        }


def inspect(log: Log) -> Quarantine:
    """Runs all checks; each sees the whole log."""
    q = Quarantine(np.ones(len(log), bool))
    if len(log) == 0:
        return q
    clicked = np.zeros(len(log), bool)
    clicked[log.click_row] = True
    sources = {"publisher": log.inputs["context.publisher"], "ad": log.keys["creative"], "line": log.keys["line"]}
    _spikes(log, clicked, sources, q)
    _low_entropy(log, log.inputs["context.publisher"], q)
    _mechanical(log, {"address": log.keys["ip"], "publisher": log.inputs["context.publisher"]}, q)
    return q


def _name(words: Words, code: int) -> str:
    return words.words[code].decode("utf-8", "replace")


def _groups(key: np.ndarray) -> list[np.ndarray]:
    """Rows of each key, in the order of the keys; missing (-1) left out."""
    order = np.argsort(key, kind="stable")
    order = order[np.searchsorted(key[order], 0) :]
    cuts = np.flatnonzero(np.diff(key[order])) + 1
    return np.split(order, cuts) if len(order) else []


def _spikes(log: Log, clicked: np.ndarray, sources: dict[str, Words], q: Quarantine) -> None:
    hour = (log.time - log.time.min()) // HOUR_MS
    hours = int(hour.max()) + 1
    looks = sum(len(s.words) for s in sources.values()) * hours
    for kind, words in sources.items():
        there = words.codes >= 0
        cell = words.codes[there].astype(np.int64) * hours + hour[there]
        size = len(words.words) * hours
        shown = np.bincount(cell, minlength=size).reshape(-1, hours)
        clicks = np.bincount(cell, clicked[there], size).reshape(-1, hours)
        # A source's own rate without the hour in question, and never below half
        # the log's: a rare ad's rate is not known well.
        others = shown.sum(axis=1, keepdims=True) - shown
        floor = 0.5 * clicks.sum() / max(shown.sum(), 1)
        own = np.maximum((clicks.sum(axis=1, keepdims=True) - clicks) / np.maximum(others, 1), floor)
        chance = binom.sf(clicks - 1, shown, np.minimum(own, 1))
        spikes = (clicks >= SPIKE_CLICKS) & (chance < THREE_SIGMA / looks) & (clicks > SPIKE_RATIO * own * shown)
        for code, h in np.argwhere(spikes):
            rows = np.flatnonzero((words.codes == code) & (hour == h))
            q.take(
                rows, "ctr_spike", f"{kind} {_name(words, code)}, hour {h}",
                f"{int(clicks[code, h])} clicks of {int(shown[code, h])}, where its own rate of {own[code, h]:.4f} makes {own[code, h] * shown[code, h]:.1f}",
            )


def _diversity(codes: np.ndarray) -> float:
    """Effective number of values: exp of the entropy."""
    share = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(np.exp(-(share * np.log(share)).sum()))


def _low_entropy(log: Log, publisher: Words, q: Quarantine) -> None:
    groups = [g for g in _groups(publisher.codes) if len(g) >= ENTROPY_SAMPLE]
    if len(groups) < 5:
        return  # nothing to compare with
    for key in ("user", "ip", "ua"):
        codes = log.keys[key].codes
        # Evenly over each source's rows: as many of each, whatever its size.
        sample = [g[np.linspace(0, len(g) - 1, ENTROPY_SAMPLE).astype(np.int64)] for g in groups]
        value = np.log([_diversity(codes[r]) for r in sample])
        middle = float(np.median(value))
        spread = 1.4826 * float(np.median(np.abs(value - middle)))
        for g, v in zip(groups, value):
            if v < middle - 3 * spread and v < middle + np.log(ENTROPY_SHARE):
                q.take(
                    g, "low_entropy", f"publisher {_name(publisher, publisher.codes[g[0]])}",
                    f"{ENTROPY_SAMPLE} impressions come from as many as {np.exp(v):.1f} values of {key}, where the middle publisher has {np.exp(middle):.1f}",
                )


def _concentration(delay: np.ndarray) -> float:
    """Largest share of the delays that lie within MECHANICAL_WIDTH of each other."""
    log_delay = np.sort(np.log(np.maximum(delay, 1)))
    end = np.searchsorted(log_delay, log_delay + MECHANICAL_WIDTH, side="right")
    return float((end - np.arange(len(end))).max() / len(end))


def _mechanical(log: Log, sources: dict[str, Words], q: Quarantine) -> None:
    delay = log.click_time - log.time[log.click_row]
    for kind, words in sources.items():
        for clicks in _groups(words.codes[log.click_row]):
            if len(clicks) < MECHANICAL_CLICKS:
                continue
            d = delay[clicks]
            sure, fast = _concentration(d), float((d < FASTEST_MS).mean())
            code = words.codes[log.click_row[clicks[0]]]
            if sure > MECHANICAL_SHARE:
                why = f"{100 * sure:.0f} % of {len(clicks)} clicks come after the same time, about {np.median(d):.0f} ms"
            elif fast > FAST_SHARE:
                why = f"{100 * fast:.0f} % of {len(clicks)} clicks come within {FASTEST_MS} ms of their impressions"
            else:
                continue
            q.take(np.flatnonzero(words.codes == code), "mechanical", f"{kind} {_name(words, code)}", why)
