"""CTCVR (click-through conversion rate): the reward model's prediction of how much better this text converts than the
advertiser's own texts (RELATE §3.3.3; sentence level)?
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.special import expit

from adtext.brief import AdText
from adtext.templates import compose
from trainer.config import ConfigError
from trainer.durable import write_text
from trainer.prompts import Prompt
from trainer.reward_model.score import RewardModel, Triple
from trainer.rewards.base import FloatArray, Given, MissingInput, Sample, Term

_LEAST_TEXTS = 5  # a standard deviation of fewer values is too uncertain
_LEAST_SCALE = 1e-3  # logits: avoids a division by zero where every text has the same score


class Conversion(Term):
    """σ((ℓ(y) − ℓ_ref)/s), ℓ = ensemble mean of logit pCTCVR − κ · its standard deviation. ½ is as good as the
    advertiser's own texts.

    ℓ_ref: mean ℓ over the brief's approved texts, else over its reference texts, else ℓ of its first template (NLG).
    s: standard deviation of ℓ − ℓ_ref over texts of the policy that GRPO starts from. The first run with a reward model
    fits s and keeps it in a file beside the model's folder, which itself never changes, so that every later run has the
    same unit of reward.
    """

    def __init__(self, model: RewardModel, *, kappa: float, kept: Path | None = None) -> None:
        self.model, self.kappa, self.scale = model, kappa, 1.0
        self._kept = kept  # the file that keeps s
        self._reference: dict[Prompt, float] = {}

    @classmethod
    def build(cls, given: Given, **settings: Any) -> Self:
        """The term with the run's reward model."""
        if given.reward_model is None:
            raise MissingInput("terms.ctcvr needs a reward model: give --reward-model, or set its weight to 0")
        return cls.load(given.reward_model, given.cache, **settings)

    @classmethod
    def load(cls, folder: Path, cache: Path | None, *, kappa: float) -> Self:
        """The term with the reward model in a folder."""
        return cls(
            RewardModel.load(folder, cache=cache), kappa=kappa, kept=folder.with_name(f"{folder.name}.scale.json")
        )

    def fit(self, samples: Sequence[Sample]) -> None:
        """Take s from where the first run kept it, else from these samples; ValueError where too few of them parse."""
        kept = self._read()
        if (scale := kept.get(str(self.kappa))) is not None:
            self.scale = scale
            return
        lifts = self._lifts([sample for sample in samples if sample.text])
        if len(lifts) < _LEAST_TEXTS:
            raise ValueError(
                f"{len(lifts)} of {len(samples)} texts of the starting policy parse: fine-tune it first (relate train "
                "sft)"
            )
        self.scale = max(float(lifts.std()), _LEAST_SCALE)
        if self._kept is not None and np.isfinite(self.scale):
            write_text(self._kept, json.dumps(kept | {str(self.kappa): self.scale}) + "\n")

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        scores = np.zeros(len(samples))
        written = [at for at, sample in enumerate(samples) if sample.text]
        if written:
            scores[written] = expit(self._lifts([samples[at] for at in written]) / self.scale)
        return scores

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "model": self.model.version.version}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        version = self.model.version.version
        if state["model"] != version:
            raise ConfigError(
                f"the checkpoint was trained with reward model {state['model']}, given is {version}: give the same one"
            )
        self.scale = state["scale"]

    def _read(self) -> dict[str, float]:
        """s by κ, as the first run with this reward model kept it."""
        if self._kept is None or not self._kept.exists():
            return {}
        return dict(json.loads(self._kept.read_text(encoding="utf-8")))

    def _lifts(self, samples: Sequence[Sample]) -> FloatArray:
        """[N] ℓ(y) − ℓ_ref of samples that parse."""
        for prompt in {sample.prompt for sample in samples} - self._reference.keys():
            self._reference[prompt] = float(self._lowered([(prompt, text) for text in _own_texts(prompt)]).mean())
        reference = np.array([self._reference[sample.prompt] for sample in samples])
        written = self._lowered([(sample.prompt, sample.text) for sample in samples if sample.text])
        return np.asarray(written - reference, dtype=np.float64)

    def _lowered(self, pairs: Sequence[tuple[Prompt, AdText]]) -> FloatArray:
        scores = self.model.score([Triple.of(prompt.brief, text) for prompt, text in pairs])
        return scores.logit - self.kappa * scores.std


def _own_texts(prompt: Prompt) -> tuple[AdText, ...]:
    texts = prompt.brief.ad.approved or prompt.references or tuple(islice(compose(prompt.brief, prompt.spec, 0), 1))
    if not texts:
        raise ValueError(
            f"{prompt.brief.ad.id}, query {prompt.brief.query!r}: no approved and no reference text to compare with, "
            "and no template fits its facts; give one"
        )
    return texts
