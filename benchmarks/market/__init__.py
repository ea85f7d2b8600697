"""A simulated market with known truth: users who share no scorer with any reward, check or judge.

    constants.py  every number that no fit made
    taste.py      what they like in a wording;        taste.json   its weights, made by fit_taste.py
    words.py      which words they expect;            words.txt.gz the sentences behind it
    comprehension.py      how well they understand;   comprehension.json its weights; fit_comprehension.py makes both
    facts.py, claims.py   what the advertiser offers, and what of it a text misstates
    users.py      how they click, convert and complain
    version.py    the market's hash;   ceiling.py   the best that could be had, and a policy's share of it
    log.py        impressions of the other half's headlines, written as a snapshot
    ads.py        search ads to show in their place: references of the training advertisers and rewordings of them

Only the fits see the users' half of the headlines' story groups, and learn wording from the users' half of the
training advertisers.
"""

from __future__ import annotations

from trainer.reward_model.dataset import share_of


def in_taste_half(story_group: str) -> bool:
    """True for the half that only the taste is fitted on."""
    return share_of(story_group, "taste") < 0.5


def in_users_half(advertiser: str) -> bool:
    """True for the half of the advertisers, by id, whose texts the users' word model is fitted on."""
    return share_of(advertiser, "market users") < 0.5
