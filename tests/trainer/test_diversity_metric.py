"""Diversity, version 2: what a policy repeats from advertiser to advertiser, whatever the size of the set."""

from __future__ import annotations

import numpy as np
import pytest

from adtext.brief import AdText
from adtext.prompt import parse
from adtext.spec import load_spec
from tests.builders import a_brief
from tests.trainer.samples import LOCALES
from trainer.baselines.nlg import Nlg
from trainer.evaluation.diversity import diversity_v1, diversity_v2
from trainer.prompts import Prompt, load_prompts
from trainer.rewards.base import Sample

OWN = {
    "en": "fitted by {name} in the old saddlery",
    "zh": "{name}在老城区手工缝制",
    "ja": "{name}が旧市街で手縫いします",
}
TEMPLATES = {
    "en": (
        "Great value with fast delivery to your door",
        "Hand picked and ready to send",
        "Find what is right for you",
    ),
    "zh": ("超值好物快速送达您的家门", "精心挑选随时为您发出", "找到最适合您的那一款"),
    "ja": ("お得な商品をすぐにお届けします", "厳選した品をご用意しました", "ぴったりの一品が見つかります"),
}


def of(language, advertiser, query, title, description):
    brief = a_brief(locale=LOCALES[language], id=advertiser, query=query)
    prompt = Prompt(brief, load_spec("generic"), (), "held_out")
    return Sample(prompt, "", AdText(title=title, description=description), ())


@pytest.mark.parametrize("language", OWN)
def test_three_templates_for_every_advertiser_are_not_diverse(language):
    texts = [
        of(language, f"ad-{number}", f"query {number}", f"{number}", TEMPLATES[language][number % 3])
        for number in range(30)
    ]
    assert diversity_v2(texts).mean() <= 0.30


@pytest.mark.parametrize("language", OWN)
def test_what_one_advertiser_says_for_each_of_its_queries_is_no_repetition_of_the_policy(language):
    names = [chr(ord("a") + number) * 6 for number in range(4)]
    texts = [
        of(language, name, f"query {name} {query}", f"{query}", OWN[language].format(name=name).replace("old", name))
        for name in names[:2]
        for query in range(4)
    ]
    assert diversity_v2(texts).mean() == 1.0
    assert diversity_v1(texts).mean() < 0.3  # four of eight briefs


def nlg(advertisers: int) -> list[Sample]:
    prompts = load_prompts(None, language="en", split="new_industry")
    kept = list(dict.fromkeys(prompt.brief.ad.id for prompt in prompts))[:advertisers]
    return [
        Sample(prompt, "", parse(text, "en"), ())
        for prompt in prompts
        if prompt.brief.ad.id in kept
        for text in Nlg().write(prompt, 5, seed=0)
    ]


def test_it_does_not_jump_as_the_set_grows():
    """Counted by brief it did: five per cent of 80 briefs are four, as many as an advertiser has."""
    few, many = nlg(18), nlg(21)
    assert diversity_v1(many).mean() - diversity_v1(few).mean() > 0.2
    assert abs(diversity_v2(many).mean() - diversity_v2(few).mean()) < 0.05


def test_headlines_that_people_wrote_are_diverse():
    prompts = load_prompts(None, language="en", split="validation")
    titles = [
        Sample(prompt, "", AdText(title=text.title, description=text.title), ())
        for prompt in prompts
        for text in prompt.references
    ]
    values = diversity_v2(titles)
    assert len(values) == len(titles) and np.nanmean(values) >= 0.95


def test_a_text_that_does_not_parse_is_not_diverse_and_a_set_gives_one_value():
    texts = [of("en", f"ad-{number}", f"query {number}", "Shoes", f"Pair {number}") for number in range(5)]
    texts.append(Sample(texts[0].prompt, "no ad at all", None, ()))
    texts = [texts[0], texts[-1], *texts[1:-1]]
    assert diversity_v2(texts)[1] == 0.0
    assert diversity_v2(texts).tolist() == diversity_v2(texts).tolist()
