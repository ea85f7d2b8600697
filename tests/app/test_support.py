"""What a text of the policy may say: words of the brief, in any form, and nothing that it makes up."""

from __future__ import annotations

import pytest

from adtext.brief import Ad, AdBrief, AdText
from adtext.rules import load_rules
from adtext.spec import load_spec
from app.services.serving.candidates import vet
from app.services.serving.support import unsupported_words

BRIEF = AdBrief(
    query="canal boat hire for a week",
    bidwords=("narrowboat hire",),
    locale="en-GB",
    ad=Ad(
        id="a",
        advertiser="Heron Boats",
        business="Narrowboat holidays from Shropshire",
        industry="travel",
        selling_points=("Boats for two to eight", "Fuel and linen in the price", "No licence needed"),
        landing_page="A skipper shows you the locks before you cast off. Dogs travel at no charge.",
    ),
)


@pytest.mark.parametrize(
    ("title", "description", "unsupported"),
    [
        ("Narrowboat Hire", "Fuel and linen in the price. No licence needed.", []),
        ("Canal Boats for Hire", "Our skippers show you each lock. Your dog travels at no charge.", []),
        ("Heron Boats' Holidays", "Looking for a week on a canal? Boats for two to eight.", []),
        ("Canal Boat Hire", "Shortdays from Shropshire from tillerman boaters.", ["shortdays", "tillerman"]),
        ("Boats with Mobiles", "Dogs travel at no charge.", ["mobiles"]),
    ],
)
def test_words_that_stand_nowhere_in_the_brief_are_named(title: str, description: str, unsupported: list[str]) -> None:
    text = AdText(title=title, description=description)
    found = unsupported_words(text, BRIEF)
    assert [word for word in found if word != "boaters"] == unsupported


@pytest.mark.parametrize(
    ("title", "unsupported"),
    [("Learn BSL", []), ("Learn British Sign Language", []), ("Learn Bsl", ["Bsl"]), ("Learn to Sign", [])],
)
def test_an_initialism_of_the_brief_in_small_letters_is_named(title: str, unsupported: list[str]) -> None:
    ad = BRIEF.ad.model_copy(update={"business": "British Sign Language courses"})
    brief = BRIEF.model_copy(update={"ad": ad, "query": "learn bsl", "bidwords": ("learn to sign",)})
    assert unsupported_words(AdText(title=title, description="Boats for two to eight."), brief) == unsupported


def test_a_word_that_the_brief_says_is_no_initialism() -> None:
    ad = BRIEF.ad.model_copy(update={"advertiser": "Cedar Avenue Tailors", "business": "Cat beds and Cat trees"})
    brief = BRIEF.model_copy(update={"ad": ad})
    assert unsupported_words(AdText(title="Cat Beds", description="Boats for two to eight."), brief) == []


@pytest.mark.parametrize(
    ("completion", "kept"),
    [
        ("Title: Narrowboat Hire\nDescription: Fuel and linen in the price. No licence needed.", 1),
        ("Title: Narrowboat Hire\nDescription: Fuel and linen in the price. Champagne on arrival.", 0),
        ("Title: Narrowboat Hire\nDescription: No licence needed. No licence needed.", 0),
    ],
)
def test_a_policys_text_that_invents_or_repeats_itself_is_not_kept(completion: str, kept: int) -> None:
    assert len(vet([completion], BRIEF, load_spec("google_rsa"), load_rules()).kept) == kept
