"""Laws of the n-gram window: its counts are those of counting by hand, in any order, and a resumed window continues."""

import json
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from ngram_builders import a_brief, a_text, observed, quotes

from adtext.ngrams import FrequentNgrams, copy_rate, distinct

# ---- laws

WORDS = st.sampled_from(["shop", "now", "boots", "今", "日", "购"])
TITLES = st.lists(WORDS, min_size=1, max_size=14).map(" ".join)
BATCHES = st.lists(st.tuples(st.integers(0, 5), st.lists(TITLES, min_size=1, max_size=3)), max_size=12)


def observe_all(frequent, batch):
    for number, titles in batch:
        frequent.observe(a_brief(number), [a_text(title) for title in titles])


@given(batch=BATCHES, title=TITLES)
def test_hits_are_what_counting_every_ngram_by_hand_finds(batch, title):
    frequent = FrequentNgrams()
    observe_all(frequent, batch)

    latest = dict(batch)
    df = Counter()
    for titles in latest.values():
        df.update({gram for value in titles for gram in all_ngrams(value.split())})
    units = title.split()
    marked = {
        position
        for n in range(2, 11)
        for start in range(len(units) - n + 1)
        if df[tuple(units[start : start + n])] >= 3
        for position in range(start, start + n)
    }
    assert frequent.share(a_text(title)) == len(marked) / len(units)
    assert " ".join(quote for _, quote in quotes(frequent, a_text(title))).split() == [
        units[position] for position in sorted(marked)
    ]


def all_ngrams(units):
    return [tuple(units[start : start + n]) for n in range(2, 11) for start in range(len(units) - n + 1)]


@given(batch=BATCHES, title=TITLES, again=st.randoms())
def test_a_batch_counts_the_same_in_any_order(batch, title, again):
    distinct_briefs = list(dict(batch).items())
    first, second = FrequentNgrams(), FrequentNgrams()
    observe_all(first, distinct_briefs)
    again.shuffle(distinct_briefs)
    observe_all(second, distinct_briefs)
    assert first.hits(a_text(title)) == second.hits(a_text(title))


@given(past=BATCHES, future=BATCHES, asked=st.booleans(), title=TITLES)
def test_a_resumed_window_goes_on_as_if_it_had_never_stopped(past, future, asked, title):
    running, resumed = FrequentNgrams(window=4), FrequentNgrams(window=4)
    observe_all(running, past)
    if asked:
        running.hits(a_text(title))
    resumed.load_state_dict(json.loads(json.dumps(running.state_dict())))
    for frequent in (running, resumed):
        observe_all(frequent, future)
    assert running.hits(a_text(title)) == resumed.hits(a_text(title))
    assert running.state_dict() == json.loads(json.dumps(resumed.state_dict()), object_hook=tuple_windows)


def tuple_windows(state):
    return {**state, "window": [tuple(entry) for entry in state["window"]]}


@given(
    titles=st.lists(st.text(max_size=30), min_size=3, max_size=8),
    brief=st.builds(a_brief, query=st.text("ab 今日", min_size=1).filter(str.strip)),
)
def test_a_hit_is_never_empty_and_never_outside_its_field(titles, brief):
    frequent = observed([title for title in titles if title.isprintable()])
    for title in titles:
        if title.isprintable():
            text = a_text(title)
            spans = [span for _, span in frequent.hits(text, brief)]
            assert all(0 <= span.start < span.end <= len(title) for span in spans)
            assert all(left.end <= right.start for left, right in pairwise(spans))
            assert frequent.share(text, brief) <= frequent.share(text)
            assert 0 <= copy_rate(text, brief) <= 1


@given(titles=st.lists(TITLES, max_size=6), order=st.randoms())
def test_distinct_ignores_order_and_repetition(titles, order):
    texts = [a_text(title) for title in titles]
    shuffled = texts + texts[:2]
    order.shuffle(shuffled)
    assert distinct(shuffled) == distinct(texts) <= len(set(titles))
