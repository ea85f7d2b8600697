"""A log of the market: impressions of real headlines for made-up queries, with clicks and late conversions, as a
snapshot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit

from abtest.attribution import LATENESS
from benchmarks.market import in_taste_half
from benchmarks.market.constants import DELAY_MEDIAN_H, DELAY_SIGMA, FATIGUE, PLACES, SEGMENTS
from benchmarks.market.facts import Offer, split_sentences
from benchmarks.market.taste import Floats
from benchmarks.market.users import Ints, Users, in_window, phrase, words_of
from trainer.snapshot import EXPOSURES, TEXTS, Manifest, SnapshotWriter

WINDOW_HOURS = 168
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 28.0
UNITS = 100_000
QUERIES = 2  # a story
ARM = "market/1/log"
_PLACE_SHARES = (0.4, 0.3, 0.2, 0.1)
_CHUNK = 250_000


@dataclass(frozen=True)
class Stories:
    """What can be shown: [n] texts, each with its story's group, ad metadata, queries and the offer behind it."""

    text: tuple[str, ...]
    ad: tuple[str, ...]
    group: tuple[str, ...]
    queries: tuple[tuple[str, ...], ...]
    offer: tuple[Offer, ...]

    def offers(self, ads: Sequence[str]) -> list[Offer]:
        """The offers behind ad metadata."""
        known = dict(zip(self.ad, self.offer, strict=True))
        return [known[ad] for ad in ads]


@dataclass(frozen=True)
class Log:
    """[N] impressions. expected is the truth behind each: P(click), and P(click and conversion inside the window)."""

    stories: Stories
    text: Ints
    query: Ints  # which of the text's queries
    place: Ints
    shown_h: Floats  # hours after the first
    click: Floats  # hours after the impression; NaN: none
    conversion: Floats  # hours after the click; NaN: none
    expected_click: Floats
    expected_both: Floats

    def truth(self) -> pd.DataFrame:
        """Expected CTR and CTCVR given what is logged: the mean truth of the impressions with the same query, text and
        place.
        """
        names = np.array(
            [queries[number] for queries in self.stories.queries for number in range(QUERIES)], dtype=object
        )
        place = {"text": self.text, "query": self.query, "position": self.place}
        rows = pd.DataFrame(place | {"ctr": self.expected_click, "ctcvr": self.expected_both})
        means = rows.groupby(["text", "query", "position"], as_index=False).mean()
        means["query"] = names[means["text"] * QUERIES + means["query"]]
        means["text"] = np.array(self.stories.text, dtype=object)[means["text"]]
        return means


def read_stories(folder: Path) -> Stories:
    """The half of packages.csv.gz that the taste was not fitted on, one entry a headline of a story group."""
    rows = pd.read_csv(folder / "packages.csv.gz").fillna("")
    rows["headline"] = rows["headline"].str.strip()
    rows = (
        rows[[not in_taste_half(group) for group in rows["story_group"]]]
        .drop_duplicates(["story_group", "headline"])
        .sort_values(["story_group", "headline"])
    )
    rare = Counter(word for lede in rows["lede"].unique() for word in {*words_of(lede)})
    first = rows.groupby("story_group")[["lede"]].first()["lede"].str[:400]
    ads = {group: lede or "No description" for group, lede in first.items()}
    queries = {group: _queries(lede, rare, group) for group, lede in ads.items()}
    offers = {group: Offer("", tuple(split_sentences(lede))) for group, lede in ads.items()}
    return Stories(
        tuple(rows["headline"]),
        tuple(ads[group] for group in rows["story_group"]),
        tuple(rows["story_group"]),
        tuple(queries[group] for group in rows["story_group"]),
        tuple(offers[group] for group in rows["story_group"]),
    )


def _queries(lede: str, rare: Counter[str], group: str) -> tuple[str, ...]:
    """The story's rarest words, three a query."""
    words = sorted({word for word in words_of(lede) if len(word) > 3}, key=lambda word: (rare[word], word))
    return tuple(
        " ".join(words[3 * number : 3 * number + 3]) or f"story {group[:6]} {number}" for number in range(QUERIES)
    )


def simulate(stories: Stories, users: Users, impressions: int, seed: int = 0) -> Log:
    """Impressions by story popularity, texts of a story shown evenly: an exploring log."""
    rng = np.random.default_rng(seed)
    text = _shown_texts(stories, impressions, rng)
    query = rng.integers(0, QUERIES, impressions)
    place = rng.choice(len(PLACES), impressions, p=_PLACE_SHARES)
    unit = rng.integers(0, UNITS, impressions)
    shown = rng.uniform(0, 24 * DAYS, impressions)
    wording = users.wording(stories.text)
    reactions = [
        users.reaction([queries[number] for queries in stories.queries], stories.offer, stories.text, wording)
        for number in range(QUERIES)
    ]
    by_segment = [users.segment_logits(wording, number) for number in range(SEGMENTS)]
    segment = np.random.default_rng(1).integers(0, SEGMENTS, UNITS)[unit]
    to_click, to_convert, kept = (
        np.array([getattr(reaction, part) for reaction in reactions])[query, text]
        for part in ("click", "convert", "kept")
    )
    more_click, more_convert = (np.array([by_text[part] for by_text in by_segment])[segment, text] for part in (0, 1))
    tired = FATIGUE * np.log1p(
        _seen_before(unit, np.unique([phrase(story) for story in stories.text], return_inverse=True)[1][text], shown)
    )
    p_click = expit(to_click + more_click + np.array(PLACES)[place] - tired)
    p_convert = expit(to_convert + more_convert) * kept
    clicked = rng.random(impressions) < p_click
    converted = clicked & (rng.random(impressions) < p_convert)
    click = np.where(clicked, rng.exponential(0.02, impressions) + 0.001, np.nan)
    delay = np.where(converted, np.exp(rng.normal(np.log(DELAY_MEDIAN_H), DELAY_SIGMA, impressions)), np.nan)
    return Log(stories, text, query, place, shown, click, delay, p_click, p_click * p_convert * in_window(WINDOW_HOURS))


def _shown_texts(stories: Stories, impressions: int, rng: np.random.Generator) -> Ints:
    _, number, sizes = np.unique(stories.group, return_inverse=True, return_counts=True)
    popularity = np.exp(rng.normal(0, 0.5, len(sizes)))
    share = (popularity / sizes)[number]
    return np.asarray(rng.choice(len(number), impressions, p=share / share.sum()))


def _seen_before(unit: Ints, phrases: Ints, shown: Floats) -> Ints:
    """[N] how often the unit saw the phrase before this impression."""
    order = np.lexsort((shown, phrases, unit))
    new = np.r_[True, (np.diff(unit[order]) != 0) | (np.diff(phrases[order]) != 0)]
    start = np.flatnonzero(new)[np.cumsum(new) - 1]
    seen = np.empty(len(order), dtype=np.int64)
    seen[order] = np.arange(len(order)) - start
    return seen


def write_snapshot(log: Log, folder: Path, *, watch: Callable[[Sequence[int]], Iterable[int]] = iter) -> Manifest:
    """The log as `relate export` writes one: late conversions are there with their times, and attribution leaves them
    out.

    watch: wraps the parts written, to show progress.
    """
    begin = AS_OF - timedelta(days=DAYS) - timedelta(hours=WINDOW_HOURS) - LATENESS - timedelta(hours=1)
    writer = SnapshotWriter(folder)
    stories = log.stories
    ids = [f"t-{number}" for number in range(len(stories.text))]
    writer.add_texts(
        pa.table(
            {
                "text_id": ids,
                "group": stories.group,
                "ad": stories.ad,
                "text": stories.text,
                "industry": ["other"] * len(ids),
                "locale": ["en-US"] * len(ids),
                "created_at": [begin] * len(ids),
            },
            schema=TEXTS,
        )
    )
    names = np.array(ids, dtype=object)
    queries = np.array(stories.queries, dtype=object)
    for start in watch(range(0, len(log.text), _CHUNK)):
        part = slice(start, start + _CHUNK)
        text = log.text[part]
        clicked_h = log.shown_h[part] + log.click[part]
        rows = {
            "id": [f"s-{number}" for number in range(start, start + len(text))],
            "text_id": names[text],
            "arm": [ARM] * len(text),
            "query": queries[text, log.query[part]],
            "position": log.place[part],
            "window_hours": np.full(len(text), WINDOW_HOURS),
            "impression_at": _times(begin, log.shown_h[part]),
            "click_at": _times(begin, clicked_h),
            "conversion_at": _known(_times(begin, clicked_h + log.conversion[part])),
            "invalid": np.zeros(len(text), dtype=bool),
        }
        writer.add_rows(
            pa.table({column.name: pa.array(rows[column.name], column.type) for column in EXPOSURES}, schema=EXPOSURES)
        )
    return writer.close(as_of=AS_OF, arms=[ARM], since=begin, until=begin + timedelta(days=DAYS))


def _times(begin: datetime, hours: Floats) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.Timestamp(begin) + pd.to_timedelta(hours, unit="h")).floor("us")


def _known(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """A conversion later than the export is not in it."""
    return times.where(times <= pd.Timestamp(AS_OF))
