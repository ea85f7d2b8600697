"""The configuration of one training of a judge."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainer.config.base import Count, NotNegative, Number, Positive, Settings

Share = Annotated[Number, Field(ge=0, le=1)]


class JudgeConfig(Settings):
    """One training of the judge, or of the second judge: other features, other advertisers, another seed."""

    features: Literal["words", "letters"] = "words"
    half: Literal["judge", "second_judge"] = "judge"  # whose advertisers: the two share none
    trees: Count = 300  # trees per head
    depth: Annotated[Count, Field(le=8)] = 3
    learning_rate: Positive = 0.06
    rows: Annotated[Number, Field(gt=0, le=1)] = 0.5  # share of rows that each tree sees
    columns: Annotated[Number, Field(gt=0, le=1)] = 0.25  # share of features that each split may use
    leaf: Count = 10  # rows in a leaf at least
    folds: Annotated[Count, Field(ge=2)] = 5  # by advertiser; calibration and thresholds use the out-of-fold scores
    queries: Count = 300  # whose references are corrupted, spread over the advertisers
    corruptions: Count = 3  # corruptions per good text
    corruption_weight: NotNegative = 0.05  # weight of a corruption or a composed text; a label weighs 1
    reference_weight: NotNegative = 0.01  # weight of a written reference: it paraphrases more than a small policy can
    # what the serving threshold lets through at most, over the out-of-fold scores of labelled training texts
    most_false: Share = 0.05
    most_mangled: Share = 0.05
    most_clumsy: Share = 0.15
    most_corrupted: Share = 0.05  # largest share of each kind of corruption that may pass
    review_keeps: Share = 0.95  # share of the good texts that score at least the review threshold
    seed: int = 0
