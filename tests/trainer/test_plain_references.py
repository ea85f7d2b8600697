"""Plain references: true to the brief by construction, compliant, and different from each other."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from adtext.checks import check
from adtext.ngrams import distinct
from adtext.rules import load_rules
from trainer import plain_lines_zh
from trainer.plain_references import plain_references, reference_diversity, write_prompts
from trainer.plain_words import asked_for, capitals_of_names, head, priced, repeats, title_case, with_place
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


def test_the_references_do_not_teach_a_template() -> None:
    assert reference_diversity(list(COMPOSED.items())) >= 0.9


def test_a_title_is_in_headline_case_and_is_not_said_again_by_the_description() -> None:
    for texts in COMPOSED.values():
        for text in texts:
            assert text.title == title_case(text.title), text
            assert not any(repeats(text.title, sentence) for sentence in re.split(r"(?<=[.?]) ", text.description)), (
                text
            )


def test_no_long_sentence_is_copied_from_the_landing_page() -> None:
    for prompt, texts in COMPOSED.items():
        long = [sentence for sentence in re.split(r"(?<=\.) ", prompt.brief.ad.landing_page) if len(sentence) > 55]
        facts = (prompt.brief.ad.business, *prompt.brief.ad.selling_points)
        for text in texts:
            assert not any(sentence in text.description for sentence in long if sentence.rstrip(".") not in facts), text


@pytest.mark.parametrize(
    ("subject", "asked"),
    [
        ("board game cafe", "a board game cafe"),
        ("evening course", "an evening course"),
        ("wide shoes", "wide shoes"),
        ("kilt hire", "kilt hire"),
        ("leaking waders", ""),  # nobody looks for them
        ("towing capacity", ""),  # an article would be a guess
    ],
)
def test_a_question_asks_for_one_thing_with_its_article(subject: str, asked: str) -> None:
    assert asked_for(subject) == asked


def test_only_a_whole_name_takes_its_capitals() -> None:
    names = frozenset({"Llangollen Canal", "Burlington"})
    assert capitals_of_names("llangollen canal boats", names) == "Llangollen Canal boats"
    assert capitals_of_names("canal boats in burlington", names) == "canal boats in Burlington"
    assert capitals_of_names("vat help for uk shops", names) == "VAT help for UK shops"


def test_a_place_behind_the_thing_is_joined_to_it() -> None:
    assert with_place("pottery classes leeds", frozenset({"Leeds"})) == "pottery classes in Leeds"
    assert with_place("pottery classes in leeds", frozenset({"Leeds"})) == "pottery classes in Leeds"


@pytest.mark.parametrize(
    ("fact", "sentence", "number_first"),
    [
        ("Single kayaks $32 for 3 hours", "Single kayaks cost $32 for 3 hours", ""),
        ("Tire rotation $15", "Tire rotation costs $15", "$15 for tire rotation"),
        ("Kilts from £420", "Kilts start at £420", "From £420 for kilts"),
        (
            "Dents pushed out without paint from £70",
            "Dents pushed out without paint start at £70",
            "From £70 for dents pushed out without paint",
        ),
        ("Storage at $65 a month", "Storage costs $65 a month", ""),
        ("Basic tune-up $75", "", ""),  # needs an article
        ("60 minutes £46", "", ""),  # minutes are not what is bought
    ],
)
def test_a_price_is_said_as_a_sentence_or_number_first_only_where_that_stays_true(
    fact: str, sentence: str, number_first: str
) -> None:
    deal = priced(fact)
    assert deal is not None and deal.sentence == sentence
    assert deal.number_first == number_first


def test_a_fact_without_a_price_or_with_two_is_not_taken_for_one() -> None:
    assert priced("Open until 8 pm on Thursdays") is None
    assert priced("Half day £85, full day £140") is None


@pytest.mark.parametrize(
    ("title", "sentence", "repeated"),
    [
        ("Timber Sheds Built in Telford", "Timber sheds in Telford.", True),
        ("Kilt Hire", "Kilt hire £75 for three days.", True),
        ("Kilt Hire in Perth", "Over 300 tartans in stock.", False),
    ],
)
def test_a_sentence_repeats_a_title_from_either_side(title: str, sentence: str, repeated: bool) -> None:
    assert repeats(title, sentence) is repeated


def test_the_head_of_a_phrase_is_what_it_is_about() -> None:
    assert [head(phrase) for phrase in ("tandem kayaks for two", "oil changes in Derby")] == ["kayaks", "changes"]


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


def test_a_language_that_nothing_is_composed_in_is_refused_by_name() -> None:
    english = load_prompts()[0]
    japanese = replace(english, brief=english.brief.model_copy(update={"locale": "ja-JP"}))
    with pytest.raises(ValueError, match="ja-JP: plain references are composed in English and Chinese"):
        plain_references(japanese, RULES, 8)


def test_chinese_references_are_composed_the_same_way() -> None:
    composed = {
        prompt: plain_references(prompt, RULES, 8) for prompt in load_prompts(language="zh", split="train")[::9]
    }
    assert sum(map(len, composed.values())) >= 0.85 * 8 * len(composed)
    for prompt, texts in composed.items():
        facts = (prompt.brief.ad.business, *prompt.brief.ad.selling_points, prompt.brief.ad.landing_page)
        assert distinct(texts) == len(texts)
        for text in texts:
            assert check(text, prompt.brief, prompt.spec, RULES) == []
            assert not plain_lines_zh.stammers(text.description), text
            assert all(part in "".join(facts) for part in re.split("[，。：]", text.description) if part) or (
                prompt.brief.ad.advertiser in text.description
            ), text


@pytest.mark.parametrize(
    ("title", "clause", "repeated"),
    [
        ("羽绒服翻新", "羽绒服翻新180元起", True),
        ("徒步向导", "向导持证", False),
        ("茶叶礼盒，五十个起", "打样三天", False),
    ],
)
def test_a_chinese_clause_repeats_a_title_by_its_characters(title: str, clause: str, repeated: bool) -> None:
    assert plain_lines_zh.repeats(title, clause) is repeated


def test_the_written_folder_holds_training_advertisers_only(tmp_path) -> None:
    count = write_prompts(tmp_path, RULES, composed=2, written=1)
    prompts = load_prompts(tmp_path)
    assert {prompt.split for prompt in prompts} == {"train"} and len(prompts) == len(TRAIN)
    assert sum(len(prompt.references) for prompt in prompts) == count
