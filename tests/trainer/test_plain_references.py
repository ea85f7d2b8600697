"""Plain references: true to the brief by construction, compliant, and different from each other."""

from __future__ import annotations

import re

import pytest

from adtext.checks import check
from adtext.ngrams import distinct
from adtext.rules import load_rules
from trainer.plain_references import plain_references, write_prompts
from trainer.prompts import load_prompts

RULES = load_rules()
TRAIN = load_prompts(split="train")
COMPOSED = {prompt: plain_references(prompt, RULES, 8) for prompt in TRAIN[::7]}


def test_composed_references_have_no_finding() -> None:
    found = [
        (prompt.brief.ad.id, text.title, text.description, finding.rule)
        for prompt, texts in COMPOSED.items()
        for text in texts
        for finding in check(text, prompt.brief, prompt.spec, RULES)
    ]
    assert found == []


def test_most_queries_get_all_their_references_and_no_two_are_alike() -> None:
    counts = [len(texts) for texts in COMPOSED.values()]
    assert sum(counts) >= 0.85 * 8 * len(counts)
    assert all(distinct(texts) == len(texts) for texts in COMPOSED.values())


def test_every_number_of_a_composed_reference_stands_in_the_advertisers_facts() -> None:
    for prompt, texts in COMPOSED.items():
        facts = " ".join([prompt.brief.ad.business, *prompt.brief.ad.selling_points, prompt.brief.ad.landing_page])
        subject = f"{prompt.brief.query} {' '.join(prompt.brief.bidwords)}"
        for text in texts:
            for number in re.findall(r"[0-9]+", f"{text.title} {text.description}"):
                assert number in facts or number in subject, (number, text)


def test_the_same_seed_composes_the_same_texts() -> None:
    assert plain_references(TRAIN[3], RULES, 8, seed=5) == plain_references(TRAIN[3], RULES, 8, seed=5)
    assert plain_references(TRAIN[3], RULES, 8, seed=5) != plain_references(TRAIN[3], RULES, 8, seed=6)


def test_chinese_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="zh-CN is not English"):
        plain_references(load_prompts(language="zh")[0], RULES, 8)


def test_the_written_folder_holds_training_advertisers_only(tmp_path) -> None:
    count = write_prompts(tmp_path, RULES, composed=2, written=1)
    prompts = load_prompts(tmp_path)
    assert {prompt.split for prompt in prompts} == {"train"} and len(prompts) == len(TRAIN)
    assert sum(len(prompt.references) for prompt in prompts) == count
