"""The evaluators on a logged bandit whose policies' values are known."""

import unittest

import numpy as np

from ..offpolicy import Logged, effective_rows, evaluate


class Bandit:
    """Contexts of a few kinds, actions with known rates, a skewed logging policy."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.rate = rng.uniform(0.02, 0.3, (6, 8))
        logging = rng.dirichlet(np.ones(8), 6) * 0.8 + 0.2 / 8
        self.logging = logging
        self.better = np.exp(12 * self.rate)
        self.better /= self.better.sum(axis=1, keepdims=True)

    def log(self, seed: int, rows: int, expected: np.ndarray) -> tuple[Logged, float]:
        """A log, and the value of the better policy on its contexts."""
        rng = np.random.default_rng([seed, 9])
        kind = rng.integers(0, 6, rows)
        action = (rng.random((rows, 1)) > self.logging[kind].cumsum(axis=1)).sum(axis=1).clip(0, 7)
        reward = rng.random(rows) < self.rate[kind, action]
        log = Logged(action, reward, self.logging[kind, action], self.better[kind], expected[kind])
        return log, float((self.better * self.rate).sum(axis=1).mean())


class Evaluators(unittest.TestCase):
    def setUp(self) -> None:
        self.bandit = Bandit(1)

    def test_intervals_hold_the_truth(self) -> None:
        inside = {"ips": 0, "snips": 0, "dr": 0}
        width = {"ips": 0.0, "snips": 0.0, "dr": 0.0}
        times = 20
        for seed in range(times):
            log, value = self.bandit.log(seed, 3000, self.bandit.rate)
            result = evaluate(log, seed, 300)
            for name in inside:
                e = result[name]
                inside[name] += e.low <= value <= e.high
                width[name] += e.high - e.low
            self.assertLess(result["logging"].high, value)  # the mean of the log is not the answer
        for name, n in inside.items():
            self.assertGreaterEqual(n, times * 0.8, name)
        self.assertLess(width["dr"], width["ips"])  # with the right model
        self.assertLess(width["snips"], width["ips"] * 1.1)

    def test_dr_survives_a_wrong_model(self) -> None:
        log, value = self.bandit.log(4, 60_000, np.full((6, 8), 0.5))
        self.assertAlmostEqual(evaluate(log, 1, 20)["dr"].value, value, 2)

    def test_the_logging_policy_is_worth_its_mean(self) -> None:
        log, _ = self.bandit.log(5, 5000, self.bandit.rate)
        same = Logged(log.action, log.reward, np.full(5000, 0.125), np.full((5000, 8), 0.125), log.expected)
        result = evaluate(same, 1, 20)
        for name in ("ips", "snips"):
            self.assertAlmostEqual(result[name].value, log.reward.mean(), 12)
        self.assertAlmostEqual(effective_rows(same.weight), 5000, 6)
