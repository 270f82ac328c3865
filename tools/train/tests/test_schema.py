"""The encoder, and what it is made of."""

import unittest

import numpy as np

from ..schema import Schema, Words, fold, ln
from ..xxh64 import xxh64


class Hash(unittest.TestCase):
    def test_known_digests(self) -> None:
        # From the algorithm's reference implementation.
        for text, want in {b"": 0xEF46DB3751D8E999, b"a": 0xD24EC4F1A98C6E5B, b"abc": 0x44BC2CF5AD770999}.items():
            self.assertEqual(xxh64(text), want)

    def test_folds_ascii_alone(self) -> None:
        self.assertEqual(fold(b"iOS-9"), b"ios-9")
        self.assertEqual(fold("É".encode()), "É".encode())
        self.assertEqual(len(fold(b"x" * 1000)), 256)


class Encoder(unittest.TestCase):
    def test_ln_is_the_logarithm(self) -> None:
        x = 1 + np.exp(np.linspace(-30, 300, 5001))
        np.testing.assert_allclose(ln(x), np.log(x), rtol=4e-16, atol=3e-16)

    def test_missing_and_stale_give_the_default(self) -> None:
        s = Schema.load()
        names = s.names
        rows = s.encode(
            {"user.impressions_1d": np.array([2.0, np.nan, 2.0]), "context.floor": np.array([1.0, np.nan, 1.0]), "user.segment": Words.of([b"a", None, b""])},
            {"user.impressions_1d": np.array([600.0, 0.0, 600.1])},
        )
        self.assertEqual(rows.dtype, np.float32)
        self.assertEqual(rows[0, names.index("user.impressions_1d")], 2)
        self.assertTrue(np.isnan(rows[1:, names.index("user.impressions_1d")]).all())
        self.assertEqual(rows[1, names.index("context.floor")], 0)
        np.testing.assert_array_equal(np.isnan(rows[:, names.index("user.segment")]), [False, True, True])
        self.assertTrue(np.isnan(rows[:, names.index("ad.price")]).all())
