"""Every number that simulated users follow and that no fit made. A change of one is another market: its hash says so.

Logits unless a unit is named.
"""

from __future__ import annotations

from scipy.special import logit

PLACES = (0.0, -0.7, -1.25, -1.7)  # added to the click logit by place of display
SEGMENTS = 3
SEGMENT_BUYS = (-0.3, 0.0, 0.25)  # added to the conversion logit of each segment
FATIGUE = 0.3  # times log(1 + how often the unit saw the phrase before)
DELAY_MEDIAN_H, DELAY_SIGMA = 20.0, 1.5  # hours from click to conversion, log-normal
STYLES = 4

BASE_CLICK = float(logit(0.050))
BASE_CONVERT = float(logit(0.041))
CLICK = {
    "appeal": 0.25,  # for a standard deviation of the fitted taste
    "bait": 0.12,  # for each phrase of clickbait
    "match": 0.25,  # from no word of the query to three in five
    "flaws": -0.3,  # for each fault of writing
    "comprehension": 0.9,  # from a text that nobody understands to one that reads well
    "intent": 0.03,
    "quirk": 0.04,
    "segment": 0.10,
}
CONVERT = {
    "bait": -0.22,
    "substance": 0.15,  # for a standard deviation of numbers and names
    "match": 0.20,
    "comprehension": 0.9,
    "misstated": -1.2,  # for each misstated fact
    "intent": 0.03,
    "quirk": 0.04,
}
USUAL_COMPREHENSION = 0.6  # mean of the users' half's references: the level at which the base rates hold
COMPLAINT = 0.35  # chance that who bought on one misstated fact complains and takes the purchase back
MOST_MISSTATED = 2.0  # facts; beyond that nothing gets worse

# what a false statement counts, in misstated facts
WRONG_AMOUNT = 1.0  # a number that the advertiser never names
WRONG_OBJECT = 1.0  # a number of the advertiser's, put on another thing
WRONG_UNIT = 0.6  # a price per day that is per half day
DENIED = 0.8  # says what the advertiser denies, or denies what the advertiser says
UNKNOWN_NAME = 0.6  # a name or place that the advertiser never names
UNSUPPORTED = 2.5  # times the share of content words without support beyond the usual
USUAL_UNSUPPORTED = 0.2
