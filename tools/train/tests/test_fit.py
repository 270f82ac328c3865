"""Metrics, calibration, and the whole way on a small log."""

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import calibrate, eventlog, fit, metrics, report
from ..schema import Schema
from .small import world


class Metrics(unittest.TestCase):
    def test_auc(self) -> None:
        self.assertEqual(metrics.auc(np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4])), 1)
        self.assertEqual(metrics.auc(np.array([0, 1, 1, 0]), np.array([1, 1, 1, 1])), 0.5)
        self.assertTrue(np.isnan(metrics.auc(np.array([1, 1]), np.array([1, 2]))))

    def test_deciles_show_a_bias(self) -> None:
        rng = np.random.default_rng(1)
        p = rng.uniform(0.05, 0.5, 200_000)
        label = rng.random(len(p)) < p
        self.assertLess(metrics.summary(label, p, p)["worst_decile_error"], 1e-9)
        self.assertAlmostEqual(metrics.summary(label, p * 1.2, p)["worst_decile_error"], 0.2, 6)
        self.assertLess(metrics.summary(label, p)["ece"], 0.005)
        self.assertLess(metrics.log_loss(label, p), metrics.log_loss(label, p * 1.2))


class Calibration(unittest.TestCase):
    def setUp(self) -> None:
        rng = np.random.default_rng(2)
        self.raw = rng.normal(-2, 1, 300_000)
        self.truth = 1 / (1 + np.exp(-(0.7 * self.raw - 0.4)))  # of a model that is too sure
        self.label = rng.random(len(self.raw)) < self.truth
        self.segment = rng.choice([1.0, 2.0, np.nan], len(self.raw))

    def test_platt_finds_the_line(self) -> None:
        m = calibrate.fit_platt(self.raw, self.label)
        self.assertAlmostEqual(m.a, 0.7, 1)
        self.assertAlmostEqual(m.b, -0.4, 1)

    def test_both_kinds_are_calibrated_and_monotone(self) -> None:
        for kind in ("platt", "isotonic", "auto"):
            c = calibrate.fit(self.raw, self.label, self.segment, "ad.media", kind)
            p = c(self.raw, self.segment)
            self.assertLess(metrics.summary(self.label, p, self.truth)["worst_decile_error"], 0.05, kind)
            self.assertEqual(sorted(c.segments), [1, 2])
            self.assertTrue((np.diff(c.everywhere(np.linspace(-9, 9, 1000))) >= 0).all())

    def test_pool_adjacent_violators(self) -> None:
        got = calibrate.pool_adjacent_violators(np.array([1.0, 3.0, 2.0, 4.0]), np.array([1.0, 1.0, 3.0, 1.0]))
        self.assertEqual(got, [(0, 1, 1.0), (1, 3, 2.25), (3, 4, 4.0)])


class Whole(unittest.TestCase):
    def config(self, trainer: str) -> fit.FitConfig:
        small = {n: replace(getattr(fit.FitConfig(), n), trees=12, rows_in_leaf=100) for n in ("ctr", "cvr", "context")}
        return fit.FitConfig(trainer=trainer, **small)

    def test_both_trainers_write_a_bundle(self) -> None:
        schema = Schema.load()
        for trainer in ("lightgbm", "xgboost"):
            with tempfile.TemporaryDirectory() as folder:
                log_folder, out = Path(folder) / "log", Path(folder) / "bundle"
                eventlog.write(world(), log_folder)
                log = eventlog.read(log_folder)
                texts = []
                for _ in range(2):
                    result = fit.run(log, schema, self.config(trainer), lambda _: None)
                    fit.write(result, schema, out, "test", 7, 1)
                    texts.append([f.read_bytes() for f in sorted(out.iterdir())])
                self.assertEqual(texts[0], texts[1], f"{trainer}: two runs from one seed differ")
                manifest = json.loads((out / "manifest.json").read_text())
                self.assertEqual(manifest["schema_sha256"], schema.sha256)
                for part in manifest["parts"].values():
                    self.assertTrue((out / part).is_file())
                golden = json.loads((out / "golden.json").read_text())["rows"]
                self.assertGreaterEqual(len(golden), 32)
                self.assertTrue(any(None in row["x"] for row in golden))
                self.assertGreater(manifest["metrics"]["ctr"]["auc"], 0.6)
                report.write(out / "report", result.metrics, result.quarantine, result.data)
                self.assertIn("<svg", (out / "report" / "reliability.svg").read_text())

    def test_the_context_model_reads_no_user(self) -> None:
        schema = Schema.load()
        result = fit.run(world(), schema, self.config("lightgbm"), lambda _: None)
        model = result.models["context"].model
        rows = result.rows[:500].copy()
        before = model.raw(rows)
        rows[:, schema.indices("user", "cross")] = 1
        np.testing.assert_array_equal(model.raw(rows), before)

    def test_too_little_data_is_said(self) -> None:
        with self.assertRaisesRegex(fit.FitError, "too few"):
            fit.run(world().take(np.arange(len(world())) < 500), Schema.load(), self.config("lightgbm"), lambda _: None)


class Files(unittest.TestCase):
    def test_a_log_survives_the_files(self) -> None:
        log = world()
        with tempfile.TemporaryDirectory() as folder:
            eventlog.write(log, Path(folder))
            again = eventlog.read(Path(folder))
        np.testing.assert_array_equal(again.time, log.time)
        np.testing.assert_array_equal(again.click_row, log.click_row)
        np.testing.assert_array_equal(again.truth["ctr"], log.truth["ctr"])
        for name, value in log.inputs.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(again.inputs[name], value)
            else:
                both = [[w.words[c] if c >= 0 else None for c in w.codes[:1000]] for w in (value, again.inputs[name])]
                self.assertEqual(*both)

    def test_what_is_wrong_is_said(self) -> None:
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(eventlog.LogError, "impressions.parquet"):
            eventlog.read(Path(folder))
