"""The configuration of one training of the reward model."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainer.config.base import Count, Counts, NotNegative, Number, Positive, Settings


class RewardConfig(Settings):
    """One training of the reward model. The held-out reward model is trained alike, with another encoder on other
    advertisers.
    """

    # minilm, hashed (the held-out model's), or a sentence-transformers name or folder: Qwen/Qwen3-Embedding-0.6B
    encoder: str = "minilm"
    surface: bool = True  # beside the encoder's vectors: length, marks, case, digits, address
    half: Literal["all", "policy", "held_out_model"] = "all"  # whose rows; the last two share no advertiser
    # share of groups (advertisers, stories) without a gradient step: for early stopping and calibration
    validation: Positive = 0.15
    tested: Positive = 0.15  # share of groups that no choice reads: the reported metrics
    # conversions (clicks, where the data have no conversions) that each of the three parts must hold: with fewer, the
    # relative standard error of a part's rate is above 1/sqrt(10) = 32 %, and neither calibration nor AUC says anything
    minimum_successes: Count = 10
    members: Count = 5  # models in the ensemble, each with its own seed
    bootstrap: bool = True  # each member learns from a bootstrap sample of groups
    bottom: Annotated[Counts, Field(min_length=1)] = (128,)  # widths of the shared bottom
    tower: Counts = (64,)  # widths of each head's own layers
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.2
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-2
    batch_cells: Count = 2048  # impressions with equal features are one cell
    epochs: Count = 30
    patience: Count = 4  # epochs without a better validation loss before a member stops
    ranking_weight: NotNegative = 0.0  # weight of the within-brief ranking loss beside the pointwise losses
    seed: int = 0

    @model_validator(mode="after")
    def _leaves_groups_to_train_on(self) -> Self:
        if self.validation + self.tested >= 0.9:
            raise ValueError(
                f"validation {self.validation} and tested {self.tested} must leave more than 0.1 for training"
            )
        return self
