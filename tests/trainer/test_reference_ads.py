"""The laws of the packaged advertisers: what SFT learns from is compliant, varied, and says nothing about those held
out.
"""

from collections import Counter, defaultdict

import pytest

from adtext.checks import check
from adtext.fold import fold
from adtext.ngrams import COPY_N, distinct
from adtext.rules import load_rules
from trainer.prompts import load_prompts

RULES = load_rules()
ENGLISH = load_prompts()
PROMPTS = ENGLISH + load_prompts(language="zh")


def advertisers(prompts):
    return {prompt.brief.ad.id for prompt in prompts}


def words(value):
    return fold(value).text.split()


@pytest.mark.parametrize(
    ("split", "least"), [("train", 400), ("validation", 40), ("held_out", 60), ("new_industry", 21)]
)
def test_there_are_enough_english_advertisers(split, least):
    assert len(advertisers(prompt for prompt in ENGLISH if prompt.split == split)) >= least


def test_there_are_enough_chinese_advertisers():
    assert len(advertisers(prompt for prompt in PROMPTS if prompt.brief.language == "zh")) >= 200


@pytest.mark.parametrize(("language", "queries", "references"), [("en", {2, 4}, {1, 2, 4}), ("zh", {2}, {1, 2})])
def test_every_advertiser_has_its_queries_with_their_references(language, queries, references):
    prompts = load_prompts(language=language)
    assert set(Counter(prompt.brief.ad.id for prompt in prompts).values()) <= queries
    assert {len(prompt.references) for prompt in prompts} <= references
    assert len({(prompt.brief.ad.id, fold(prompt.brief.query).text) for prompt in prompts}) == len(prompts)


def test_every_reference_is_compliant_without_any_finding():
    found = [
        (prompt.brief.ad.id, text.title, text.description, finding.rule, finding.quote)
        for prompt in PROMPTS
        for text in prompt.references
        for finding in check(text, prompt.brief, prompt.spec, RULES)
        if finding.rule != "missing_disclaimer"  # a landing page carries it
    ]
    assert found == []


def test_the_references_of_a_query_are_different_texts():
    assert [prompt.brief.query for prompt in PROMPTS if distinct(prompt.references) < len(prompt.references)] == []


def test_an_advertiser_stands_on_one_side_of_the_split_only():
    splits = defaultdict(set)
    for prompt in PROMPTS:
        splits[prompt.brief.ad.id].add(prompt.split)
    assert all(len(sides) == 1 for sides in splits.values())
    names = Counter((prompt.brief.ad.id, fold(prompt.brief.ad.advertiser).text) for prompt in PROMPTS)
    assert len({name for _, name in names}) == len(names), "two advertisers of one name"


def test_a_new_industry_was_never_trained_on():
    industries = defaultdict(set)
    for prompt in ENGLISH:
        industries[prompt.split].add(prompt.brief.ad.industry)
    others = industries["train"] | industries["validation"] | industries["held_out"]
    assert industries["new_industry"].isdisjoint(others)


def test_no_reference_and_no_8_gram_of_one_is_shared_between_advertisers():
    owners = defaultdict(set)
    for prompt in PROMPTS:
        for text in prompt.references:
            owners[(text.title.casefold(), text.description.casefold())].add(prompt.brief.ad.id)
            for _, value in text.fields():
                units = words(value) if prompt.brief.language == "en" else list(fold(value).text)
                # eight words, or the characters they take
                size = COPY_N if prompt.brief.language == "en" else 2 * COPY_N
                for start in range(len(units) - size + 1):
                    owners[tuple(units[start : start + size])].add(prompt.brief.ad.id)
    assert [(gram, ids) for gram, ids in owners.items() if len(ids) > 1] == []
