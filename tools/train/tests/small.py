"""A small world for tests, drawn once."""

from functools import cache

from ..eventlog import Log
from ..world import WorldConfig, generate

CONFIG = WorldConfig(seed=3, days=6, impressions=120_000, users=8_000, publishers=12, advertisers=10, creatives=40, ctr=0.15)


@cache
def world() -> Log:
    """The log; tests that change it take a copy (fresh)."""
    return generate(CONFIG)


def fresh() -> Log:
    return generate(CONFIG)
