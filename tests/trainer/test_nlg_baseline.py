"""The NLG baseline: the advertiser's best logged texts first, then templates, which say nothing that the advertiser did
not.
"""

import numpy as np
import pytest
from builders import A_SPEC, a_brief, an_ad

from adtext.brief import AdText
from adtext.prompt import parse, write
from trainer.baselines.nlg import Nlg, best_logged
from trainer.prompts import Prompt
from trainer.reward_model.dataset import Cells


def prompt(locale="en-US"):
    return Prompt(a_brief(locale=locale), A_SPEC, (), "held_out")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN", "ja-JP"])
def test_templates_are_different_texts_that_parse(locale):
    completions = Nlg().write(prompt(locale), 5, seed=3)
    assert len(set(completions)) == 5
    assert all(parse(completion, locale[:2]) for completion in completions)


def test_the_best_logged_texts_come_first():
    logged = [
        an_ad(locale="en-US"),
        AdText(title="Trainers Sized 2E", description="Light soles."),
        AdText(title="Third", description="Last."),
    ]
    nlg = Nlg({"Greenfield Running": logged})
    completions = nlg.write(prompt(), 5, seed=0)
    assert completions[:2] == [write(text, "en") for text in logged[:2]]
    assert len(completions) == len(set(completions)) == 5
    assert write(logged[2], "en") not in completions, "half of five is two; the rest are templates"
    assert Nlg({"Another Shop": logged}).write(prompt(), 5, seed=0) == Nlg().write(prompt(), 5, seed=0)


def cells(*rows):
    """(advertiser, text, impressions, clicks) each."""
    strings = tuple(dict.fromkeys(text for _, text, *_ in rows))
    groups = tuple(dict.fromkeys(group for group, *_ in rows))
    zeros = np.zeros(len(rows), dtype=np.int64)
    text = np.array([strings.index(text) for _, text, *_ in rows])
    group = np.array([groups.index(group) for group, *_ in rows])
    shown, clicks = (np.array([row[at] for row in rows], dtype=float) for at in (2, 3))
    return Cells(strings, groups, zeros, zeros, text, group, zeros, shown, clicks, None)


def test_logged_texts_are_ordered_by_click_rate_and_a_lucky_rare_one_is_not_the_best():
    log = cells(
        ("Greenfield", "Often\nShown and liked.", 4000, 400), ("Greenfield", "Often\nShown and liked.", 4000, 400),
        ("Greenfield", "Lucky\nClicked once.", 1, 1), ("Greenfield", "Dull\nShown and passed over.", 8000, 80),
        ("Tarn Mill", "Warm socks\nKnitted here.", 100, 1), ("Tarn Mill", "a headline without a description", 100, 90),
    )  # fmt: skip
    best = best_logged(log)
    assert [text.title for text in best["Greenfield"]] == ["Often", "Lucky", "Dull"]
    assert best["Tarn Mill"] == [AdText(title="Warm socks", description="Knitted here.")]
