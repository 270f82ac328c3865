"""A synthetic world whose true click and conversion rates are known.

Users, publishers and advertisers are drawn once from a seed; then impressions
come by day and hour. The log odds of a click are a sum of effects: the user's
(age, gender, device, and a taste of its own that no column shows), the
context's (publisher, position, hour, weekday), the ad's (quality, age), those
of pairs (segment x category, category match, size match, language match,
fatigue: each further impression of a line item is worth less) and a drift over
the days. Conversions are drawn likewise, of clicks.

Fatigue depends on impressions alone and the policy that serves does not learn,
so the whole log is drawn in array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .eventlog import Log
from .schema import Words

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = 1_767_571_200_000  # Monday, 2026-01-05 00:00 UTC

CATEGORIES = [f"IAB{n}" for n in (1, 2, 7, 8, 9, 17, 19, 20)]
COUNTRIES = ["DEU", "USA", "FRA", "GBR", "POL", "BRA", "JPN", "IND"]
LANGUAGES = ["de", "en", "fr", "en", "pl", "pt", "ja", "en"]
OS_BY_DEVICE = {1: [b"Android", b"iOS"], 2: [b"Windows", b"macOS", b"Linux"], 3: [b"Tizen", b"webOS"]}
BANNER, VIDEO, NATIVE = 1, 2, 4
SIZES = {BANNER: [(300, 250), (728, 90), (320, 50), (160, 600)], VIDEO: [(640, 360), (1280, 720)], NATIVE: [(0, 0)]}


@dataclass(frozen=True)
class WorldConfig:
    """How large a world and how long a log."""

    seed: int = 1
    days: int = 28
    impressions: int = 4_000_000
    users: int = 120_000
    publishers: int = 40
    advertisers: int = 24
    creatives: int = 160
    ctr: float = 0.06  # about what the mean CTR comes to
    cvr: float = 0.25


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _words(codes: np.ndarray, words: list) -> Words:
    return Words(codes.astype(np.int32), [w if isinstance(w, bytes) else w.encode() for w in words])


class _Users:
    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self.weight = rng.lognormal(0, 0.9, n)
        self.weight /= self.weight.sum()
        self.gender = rng.choice([0, 1, 2, -1], n, p=[0.4, 0.4, 0.02, 0.18])
        self.age = np.where(rng.random(n) < 0.25, np.nan, np.round(np.clip(rng.gamma(5, 8, n), 14, 85)))
        self.segment = rng.choice(np.arange(-1, 10), n, p=[0.3] + [0.07] * 10)
        self.country = rng.choice(8, n, p=[0.22, 0.2, 0.14, 0.14, 0.1, 0.08, 0.06, 0.06])
        self.device = rng.choice([1, 2, 3], n, p=[0.6, 0.32, 0.08])
        self.os = np.array([rng.integers(len(OS_BY_DEVICE[d])) for d in self.device])
        self.connection = np.where(self.device == 1, rng.choice([2, 5, 6], n), rng.choice([1, 2], n))
        self.ua = self.device * 40 + rng.integers(0, 40, n)
        self.taste = rng.normal(0, 0.08, n)


class _Places:
    """Publishers' inventories: a site or app with its category, medium and sizes."""

    def __init__(self, rng: np.random.Generator, publishers: int) -> None:
        n = publishers * 3
        self.publisher = np.repeat(np.arange(publishers), 3)
        self.weight = rng.lognormal(0, 0.7, n)
        self.weight /= self.weight.sum()
        self.app = rng.random(n) < 0.4
        self.category = rng.integers(0, len(CATEGORIES), n)
        self.media = rng.choice([BANNER, VIDEO, NATIVE], n, p=[0.65, 0.15, 0.2])
        self.effect = rng.normal(0, 0.3, publishers)[self.publisher] + rng.normal(0, 0.15, n)
        self.names = [f"app.example.p{p}.i{i}" if a else f"site{i}.p{p}.example.com" for i, (p, a) in enumerate(zip(self.publisher, self.app))]


class _Ads:
    def __init__(self, rng: np.random.Generator, config: WorldConfig) -> None:
        n = config.creatives
        self.advertiser = rng.integers(0, config.advertisers, n)
        self.line = self.advertiser * 4 + rng.integers(0, 4, n)
        lines = config.advertisers * 4
        self.category = rng.integers(0, len(CATEGORIES), config.advertisers)[self.advertiser]
        self.media = rng.choice([BANNER, VIDEO, NATIVE], n, p=[0.65, 0.15, 0.2])
        self.media[:6] = [BANNER, BANNER, VIDEO, VIDEO, NATIVE, NATIVE]
        sizes = [SIZES[int(m)] for m in self.media]
        self.size = np.array([s[rng.integers(len(s))] for s in sizes])
        pricing = rng.choice(3, lines, p=[0.6, 0.3, 0.1])
        self.pricing = pricing[self.line]
        self.price = np.round(np.choose(pricing, [rng.lognormal(0.9, 0.5, lines), rng.lognormal(-1, 0.5, lines), rng.lognormal(2, 0.5, lines)]), 2)[self.line]
        self.language = np.where(rng.random(n) < 0.5, -1, rng.integers(0, len(COUNTRIES), n))
        # A fifth of the line items begins while the log runs; of the rest, long before.
        begins = np.where(rng.random(lines) < 0.2, rng.uniform(0, config.days * 0.8, lines), -rng.uniform(1, 60, lines))
        self.begin = (START_MS + begins * DAY_MS).astype(np.int64)[self.line]
        self.begin[:6] = START_MS - DAY_MS
        self.weight = rng.lognormal(0, 0.8, n)
        self.quality = rng.normal(0, 0.45, config.advertisers)[self.advertiser] + rng.normal(0, 0.25, n)
        self.closing = rng.normal(0, 0.5, config.advertisers)[self.advertiser] + rng.normal(0, 0.15, n)
        self.prior_ctr = np.round(config.ctr * np.exp(self.quality + rng.normal(0, 0.25, n)), 4).clip(0.0001, 0.9)
        self.prior_cvr = np.round(config.cvr * np.exp(self.closing + rng.normal(0, 0.15, n)), 4).clip(0.0001, 0.9)


def _times(rng: np.random.Generator, config: WorldConfig) -> np.ndarray:
    """Times by the hour's and the weekday's traffic, sorted."""
    hours = np.arange(config.days * 24)
    traffic = 1 + 0.7 * np.sin((hours % 24 - 8) / 24 * 2 * np.pi) + 0.2 * ((hours // 24) % 7 >= 5)
    hour = rng.choice(hours, config.impressions, p=traffic / traffic.sum())
    return np.sort(START_MS + hour * HOUR_MS + rng.integers(0, HOUR_MS, config.impressions))


def _serve(rng: np.random.Generator, ads: _Ads, time: np.ndarray, media: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The policy that wrote the log: by the ads' weights, among those of the
    medium that have begun. The ad and its propensity, for each impression."""
    ad = np.empty(len(time), np.int64)
    propensity = np.empty(len(time))
    hour = time // HOUR_MS
    for m in (BANNER, VIDEO, NATIVE):
        able = np.flatnonzero(ads.media == m)
        rows = np.flatnonzero(media == m)
        starts = np.flatnonzero(np.r_[True, np.diff(hour[rows]) > 0]) if len(rows) else []
        for first, last in zip(starts, np.r_[starts[1:], len(rows)] if len(rows) else []):
            block = rows[first:last]
            weight = ads.weight[able] * (ads.begin[able] <= hour[block[0]] * HOUR_MS)
            weight /= weight.sum()
            pick = rng.choice(len(able), len(block), p=weight)
            ad[block], propensity[block] = able[pick], weight[pick]
    return ad, propensity


def count_before(key: np.ndarray) -> np.ndarray:
    """How often each row's key came in earlier rows."""
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    starts = np.flatnonzero(np.r_[True, sorted_key[1:] != sorted_key[:-1]])
    count = np.empty(len(key), np.int64)
    count[order] = np.arange(len(key)) - np.repeat(starts, np.diff(np.r_[starts, len(key)]))
    return count


def generate(config: WorldConfig) -> Log:
    """A log of the world, with its truth."""
    rng = np.random.default_rng(config.seed)
    users, places, ads = _Users(rng, config.users), _Places(rng, config.publishers), _Ads(rng, config)
    time = _times(rng, config)
    n = len(time)
    user = rng.choice(config.users, n, p=users.weight)
    known = rng.random(n) > 0.1
    place = rng.choice(len(places.weight), n, p=places.weight)
    media = places.media[place]
    position = rng.choice([0, 1, 3, 4, 7], n, p=[0.25, 0.35, 0.25, 0.05, 0.1])
    slot = np.array([[SIZES[m][i % len(SIZES[m])] for i in range(4)] for m in (BANNER, VIDEO, NATIVE)])
    size = slot[np.select([media == BANNER, media == VIDEO], [0, 1], 2), (place + rng.integers(0, 2, n)) % 4]
    ad, propensity = _serve(rng, ads, time, media)

    hour, weekday = time // HOUR_MS % 24, (time // DAY_MS + 3) % 7
    same_size = (size == ads.size[ad]).all(axis=1)
    same_category = places.category[place] == ads.category[ad]
    # Countries of one language share its first place; an ad without one fits none.
    language = np.array([LANGUAGES.index(x) for x in LANGUAGES] + [-1])
    same_language = language[users.country[user]] == language[ads.language[ad]]
    day = (time - START_MS) / DAY_MS
    seen = np.where(known, count_before(user * 4096 + ads.line[ad]), 0)

    # Some segments care for one half of the categories, the young for a few.
    fond, young = rng.random((11, 1)) < 0.5, rng.permutation(len(CATEGORIES)) < 3
    fond[0] = False  # no segment
    taste = 0.5 * fond * np.repeat([1, 0], len(CATEGORIES) // 2) + rng.normal(0, 0.04, (11, len(CATEGORIES)))
    ages = np.searchsorted([25, 45, 65], np.nan_to_num(users.age[user], nan=30), side="right")
    by_age = np.outer([0.4, 0.2, 0, 0], young)
    shown = known * 1.0  # of a user without an id nothing is known, nor does it matter here
    logit = (
        _logit(config.ctr)
        - 0.8  # the effects below add up to about this much
        + shown * users.taste[user]
        + 0.15 * (users.gender[user] == 0)
        + np.array([0, 0.25, -0.15, -0.5])[users.device[user]]
        + places.effect[place]
        + np.array([0, 0.4, 0, -0.4, -0.2, 0, 0, 0.3])[position]
        + 0.2 * np.sin((hour - 14) / 24 * 2 * np.pi)
        + 0.15 * (weekday >= 5)
        + np.array([0, 0, 0.5, 0, 0.2])[media]
        + ads.quality[ad]
        + shown * taste[users.segment[user] + 1, ads.category[ad]]
        + by_age[ages, ads.category[ad]] * (~np.isnan(users.age[user]))
        + 0.45 * same_category
        + 0.3 * same_size
        + 0.25 * same_language
        - 0.1 * np.minimum(seen, 8)
        + 0.05 * np.sin(day / 14 * np.pi)
    )
    ctr = sigmoid(logit)
    cvr = sigmoid(
        _logit(config.cvr)
        - 0.1
        + ads.closing[ad]
        + np.array([0, -0.35, 0.3, -0.6])[users.device[user]]
        + 0.4 * same_category
        + np.array([0, 0.3, 0.1, -0.3])[ages] * (~np.isnan(users.age[user]))
        + 0.15 * np.sin((hour - 20) / 24 * 2 * np.pi)
    )
    clicked = np.flatnonzero(rng.random(n) < ctr)
    click_time = time[clicked] + (rng.lognormal(np.log(4000), 1.1, len(clicked))).astype(np.int64) + 300
    bought = np.flatnonzero(rng.random(len(clicked)) < cvr[clicked])
    conversion_time = click_time[bought] + (rng.exponential(2 * HOUR_MS, len(bought))).astype(np.int64) + 5_000
    by_click, by_conversion = np.argsort(click_time, kind="stable"), np.argsort(conversion_time, kind="stable")

    nan = np.nan
    keys = {
        "user": _words(np.where(known, user, -1), [f"u{i}" for i in range(config.users)]),
        "creative": _words(ad, [f"creative-{i}" for i in range(config.creatives)]),
        "line": _words(ads.line[ad], [f"line-{i}" for i in range(config.advertisers * 4)]),
        "advertiser": _words(ads.advertiser[ad], [f"advertiser-{i}" for i in range(config.advertisers)]),
        "ip": _words(user * 2 + (rng.random(n) < 0.3), [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(config.users * 2)]),
        "ua": _words(users.ua[user], [f"Mozilla/5.0 (kind {i})" for i in range(160)]),
    }
    os_names = [w for d in (1, 2, 3) for w in OS_BY_DEVICE[d]]
    os_first = np.array([0, 0, 2, 5])
    inputs = {
        "user.segment": _words(np.where(known, users.segment[user], -1), [f"segment-{i}" for i in range(10)]),
        "user.age": users.age[user],
        "user.gender": _words(users.gender[user], ["F", "M", "O"]),
        "context.device_type": np.array([nan, 4, 2, 3])[users.device[user]],
        "context.os": _words(os_first[users.device[user]] + users.os[user], os_names),
        "context.country": _words(users.country[user], COUNTRIES),
        "context.language": _words(users.country[user], LANGUAGES),
        "context.connection": users.connection[user].astype(np.float64),
        "context.is_app": places.app[place].astype(np.float64),
        "context.publisher": _words(places.publisher[place], [f"publisher-{i}" for i in range(config.publishers)]),
        "context.inventory": _words(place, places.names),
        "context.category": _words(places.category[place], CATEGORIES),
        "context.media": media.astype(np.float64),
        "context.width": np.where(size[:, 0] == 0, nan, size[:, 0]),
        "context.height": np.where(size[:, 1] == 0, nan, size[:, 1]),
        "context.position": position.astype(np.float64),
        "context.floor": np.round(rng.exponential(0.4, n), 2),
        "context.secure": np.ones(n),
        "context.interstitial": (position == 7).astype(np.float64),
        "ad.media": ads.media[ad].astype(np.float64),
        "ad.width": np.where(ads.size[ad, 0] == 0, nan, ads.size[ad, 0]),
        "ad.height": np.where(ads.size[ad, 1] == 0, nan, ads.size[ad, 1]),
        "ad.pricing": _words(ads.pricing[ad], ["cpm", "cpc", "cpa"]),
        "ad.price": ads.price[ad],
        "ad.category": _words(ads.category[ad], CATEGORIES),
        "ad.advertiser": _words(ads.advertiser[ad], [f"advertiser-{i}" for i in range(config.advertisers)]),
        "ad.age_hours": (time - ads.begin[ad]) / HOUR_MS,
        "ad.prior_ctr": ads.prior_ctr[ad],
        "ad.prior_cvr": ads.prior_cvr[ad],
        "cross.category_match": same_category.astype(np.float64),
        "cross.size_match": np.where((size[:, 0] == 0) | (ads.size[ad, 0] == 0), nan, same_size),
        "cross.language_match": np.where(ads.language[ad] < 0, nan, same_language),
    }
    return Log(
        time, keys, inputs, propensity, clicked[by_click], click_time[by_click],
        clicked[bought][by_conversion], conversion_time[by_conversion], {"ctr": ctr, "cvr": cvr},
    )
