"""Point-in-time joins against a slow reading of the definitions, and leaks."""

import unittest

import numpy as np

from ..join import JoinConfig, count_events_before, join, leaks
from ..profile import DAY_MS, MONTH_MS, Happenings, replay
from .small import world


class Profile(unittest.TestCase):
    def test_counts_are_those_of_the_definition(self) -> None:
        """Few subjects, so that none is forgotten: then each count is a plain sum."""
        rng = np.random.default_rng(5)
        n = 400
        user, time = rng.integers(0, 9, n), np.sort(rng.integers(0, int(20 * DAY_MS), n))
        time[50:60] = time[50]  # a burst within one millisecond
        about = [rng.integers(0, 4, n) for _ in range(3)]
        clicks = rng.choice(n, 120, replace=False)
        h = Happenings(user, time, *about, clicks, time[clicks] + rng.integers(1, 5_000_000, 120))
        got = replay(h)
        for i in range(n):
            shown = (user == user[i]) & (time < time[i])
            clicked = (user[clicks] == user[i]) & (h.click_time < time[i])
            self.assertAlmostEqual(got["user.impressions_1d"][i], np.exp((time[shown] - time[i]) / DAY_MS).sum(), 9)
            self.assertAlmostEqual(got["user.clicks_30d"][i], np.exp((h.click_time[clicked] - time[i]) / MONTH_MS).sum(), 9)
            same = shown & (about[0] == about[0][i])
            want = np.exp((time[same] - time[i]) / MONTH_MS).sum() if about[0][i] else 0.0
            self.assertAlmostEqual(got["cross.advertiser_impressions"][i], want, 4)
            last = time[shown].max() if shown.any() else np.nan
            np.testing.assert_allclose(got["user.hours_since_impression"][i], (time[i] - last) / 3_600_000, equal_nan=True)

    def test_the_subject_met_longest_ago_is_forgotten(self) -> None:
        line = np.array([1, 2, 3, 4, 1, 5, 1, 2])
        n = len(line)
        h = Happenings(np.zeros(n, int), np.arange(n) * 1000, line, line, line, np.empty(0, int), np.empty(0, int))
        seen = replay(h)["cross.line_impressions"]
        np.testing.assert_allclose(seen, [0, 0, 0, 0, 1, 0, 2, 0], atol=1e-4)  # 2 made room for 5


class Ads(unittest.TestCase):
    def test_counts_strictly_before(self) -> None:
        got = count_events_before(np.array([1, 1, 2, 1]), np.array([5, 6, 6, 9]), np.array([1, 1, 2]), np.array([5, 8, 6]))
        np.testing.assert_array_equal(got, [0, 1, 0, 2])


class Labels(unittest.TestCase):
    def test_window(self) -> None:
        log, j = world(), join(world())
        late = join(log, JoinConfig(click_window_ms=1000))
        self.assertLess(late.click.sum(), j.click.sum())
        delay = log.click_time - log.time[log.click_row]
        self.assertEqual(late.click.sum(), len(np.unique(log.click_row[delay < 1000])))
        self.assertFalse((j.conversion & ~j.click).any())


class Leaks(unittest.TestCase):
    def test_none_in_the_join(self) -> None:
        log = world()
        self.assertEqual(leaks(log, join(log), int(log.time[len(log) // 2])), [])

    def test_planted_ones_are_caught(self) -> None:
        log = world()
        joined = join(log)
        # What a join without times would have said: all clicks of the ad.
        creative = log.keys["creative"].codes
        total = np.bincount(creative[log.click_row], minlength=len(log.keys["creative"].words))
        joined.inputs["ad.clicks"] = total[creative].astype(np.float64)
        # And a count that takes the impression's own click.
        own = np.zeros(len(log))
        own[log.click_row] = 1
        joined.inputs["user.clicks_1d"] = joined.inputs["user.clicks_1d"] + own
        self.assertEqual(sorted(leaks(log, joined, int(log.time[len(log) // 2]))), ["ad.clicks", "user.clicks_1d"])

    def test_split_keeps_unsettled_labels_out(self) -> None:
        from ..fit import FitConfig, split

        log, config = world(), FitConfig()
        settled = log.time + 3_600_000
        s = split(log.time, settled, np.ones(len(log), bool), config)
        self.assertLessEqual(settled[s.train].max(), log.time[s.calibrate].min())
        self.assertLessEqual(settled[s.calibrate].max(), log.time[s.test].min())


if __name__ == "__main__":
    unittest.main()
