"""Planted poison is found, and nothing else is."""

import unittest

import numpy as np

from ..poison import KINDS, poison
from ..quarantine import inspect
from ..world import WorldConfig, generate
from .small import fresh


class Checks(unittest.TestCase):
    def test_clean_logs_have_no_findings(self) -> None:
        for seed in (3, 11, 12):
            log = generate(WorldConfig(seed=seed, days=6, impressions=150_000, users=15_000))
            q = inspect(log)
            self.assertEqual(q.findings, [], f"seed {seed}")
            self.assertTrue(q.keep.all())

    def test_each_poison_is_found_by_its_check(self) -> None:
        for kind in KINDS:
            log = poison(fresh(), kind, 1)
            q = inspect(log)
            self.assertIn(kind, {f.check for f in q.findings}, kind)
            self.assertGreater((~q.keep).sum(), 0)
            # What is left shows nothing more.
            self.assertEqual(inspect(log.take(q.keep)).findings, [], kind)

    def test_the_planted_hour_is_what_is_taken(self) -> None:
        log = fresh()
        before = np.bincount(log.click_row, minlength=len(log)) > 0
        bad = poison(log, "ctr_spike", 1)
        after = np.bincount(bad.click_row, minlength=len(bad)) > 0
        planted = after & ~before
        q = inspect(bad)
        self.assertFalse((q.keep & planted).any())
        self.assertLess((~q.keep).sum(), 0.03 * len(bad))
        report = q.report()
        self.assertEqual(report["quarantined"], int((~q.keep).sum()))
        self.assertIn("publisher", report["findings"][0]["source"])

    def test_instant_clicks_are_mechanical(self) -> None:
        log = fresh()
        publisher = log.inputs["context.publisher"].codes
        victim = publisher[log.click_row] == publisher[log.click_row[0]]
        rng = np.random.default_rng(1)
        log.click_time[victim] = log.time[log.click_row[victim]] + rng.integers(1, 150, victim.sum())
        self.assertIn("mechanical", {f.check for f in inspect(log).findings})
