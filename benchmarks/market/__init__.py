"""A simulated market with known truth: users whose taste for wording was fitted on one half of the headline tests'
story groups.

    taste.py      what their taste reads in a text;   taste.json   its numbers
    fit_taste.py  makes taste.json from the taste half
    users.py      how users click and convert: taste, clickbait, query × wording, segments, fatigue, places, delays
    log.py        impressions of the other half's headlines, written as a snapshot
    ads.py        search ads to show in their place: references of the training advertisers and rewordings of them

Everything but fit_taste sees only the other half.
"""

from __future__ import annotations

from trainer.reward_model.dataset import share_of


def in_taste_half(story_group: str) -> bool:
    """True for the half that only the taste is fitted on."""
    return share_of(story_group, "taste") < 0.5
