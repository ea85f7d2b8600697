"""The example briefs are real input: they validate, they are what their tags say, and their approved ads may be
served.
"""

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from pydantic import ValidationError

from adtext.brief import REGULATED
from adtext.checks import check, is_compliant
from adtext.examples import ExampleError, load_examples
from adtext.fold import fold
from adtext.rules import load_rules
from adtext.spec import load_spec

EXAMPLES = load_examples(Path(__file__).parents[2] / "examples" / "briefs.jsonl")
VALID = [example for example in EXAMPLES if "invalid" not in example.tags]
UNHOSTILE = [example for example in EXAMPLES if "hostile" not in example.tags]
RULES = load_rules()


def by_name(example):
    return example.name


@pytest.mark.parametrize("example", VALID, ids=by_name)
def test_a_valid_example_is_a_brief(example):
    assert example.brief().ad.id == f"ad-{example.name}"
    assert example.platform == load_spec(example.platform).name


@pytest.mark.parametrize(
    ("name", "field", "words"),
    [
        ("invalid-oversized-landing-page", ("ad", "landing_page"), "at most 20000"),
        ("invalid-control-characters", ("ad", "landing_page"), "U+0000 at position 54"),
        ("zh-invalid-empty-query", ("query",), "at least 1"),
    ],
)
def test_an_invalid_example_is_refused_by_field(name, field, words):
    example = next(example for example in EXAMPLES if example.name == name)
    with pytest.raises(ValidationError) as refused:
        example.brief()
    assert [(error["loc"], words in error["msg"]) for error in refused.value.errors()] == [(field, True)]


def test_every_invalid_example_is_refused():
    for example in EXAMPLES:
        if "invalid" in example.tags:
            with pytest.raises(ValidationError):
                example.brief()


def test_the_examples_cover_languages_industries_and_trouble():
    plain = [example for example in UNHOSTILE if "regulated" not in example.tags]
    languages = Counter(example.brief_data["locale"][:2] for example in EXAMPLES)
    english = [example for example in plain if example.brief_data["locale"].startswith("en")]
    regulated = Counter(example.brief_data["locale"][:2] for example in EXAMPLES if "regulated" in example.tags)

    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES) >= 64
    assert languages["en"] >= 40 and languages["zh"] >= 20 and languages["ja"] >= 2
    assert len(english) >= 34 and {example.platform for example in english} == {"google_rsa", "generic"}
    assert len({example.brief_data["ad"]["industry"] for example in EXAMPLES}) >= 12
    assert regulated.total() >= 8 and {"en", "zh"} <= set(regulated)
    assert sum("hostile" in example.tags for example in EXAMPLES) >= 8


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
def test_regulated_examples_are_those_of_a_regulated_industry(example):
    assert ("regulated" in example.tags) == (example.brief_data["ad"]["industry"] in REGULATED)


@pytest.mark.parametrize("example", UNHOSTILE, ids=by_name)
def test_an_unhostile_example_is_as_full_as_a_real_one(example):
    brief = example.brief()
    page = brief.ad.landing_page
    size, low, high = (
        (len(page.split()), 100, 400) if brief.language == "en" else (sum(char.isalpha() for char in page), 160, 640)
    )
    assert low <= size <= high
    assert 3 <= len(brief.ad.selling_points) <= 6
    assert 2 <= len(brief.bidwords) <= 4
    assert len(brief.ad.approved) == 2


@pytest.mark.parametrize("example", UNHOSTILE, ids=by_name)
def test_the_approved_ads_of_an_unhostile_example_may_be_served(example):
    brief, spec = example.brief(), load_spec(example.platform)
    for ad in brief.ad.approved:
        findings = check(ad, brief, spec, RULES)
        assert is_compliant(findings), findings


def test_no_two_advertisers_share_eight_words_in_a_row():
    users = defaultdict(set)
    for example in VALID:
        brief = example.brief()
        for ad in brief.ad.approved:
            for _, value in ad.fields():
                words = fold(value).text.split() if brief.language == "en" else list(fold(value).text)
                for start in range(len(words) - 7):
                    users[tuple(words[start : start + 8])].add(brief.ad.advertiser)
    assert {gram: names for gram, names in users.items() if len(names) > 1} == {}


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        '{"name": "a", "platform": "generic", "tags": []}',
        '{"name": "a", "platform": "generic", "tags": null, "brief": {}}',
        "",
    ],
    ids=["no JSON", "no brief", "no tags", "blank line"],
)
def test_a_line_that_is_no_example_is_named(tmp_path, line):
    file = tmp_path / "briefs.jsonl"
    file.write_text('{"name": "a", "platform": "generic", "tags": [], "brief": {}}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(
        ExampleError,
        match=r"briefs\.jsonl, line 2: .* each line is one JSON object with name, platform, tags and brief",
    ):
        load_examples(file)
