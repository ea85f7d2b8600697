"""The scoring API of rewards: (query, ad, text) in batches in, calibrated CTCVR with its uncertainty out, every string
embedded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch.nn.functional import logsigmoid

from adtext.brief import AdBrief, AdText
from trainer.config import RewardConfig, from_mapping
from trainer.registry import RewardModelVersion, read_reward_model, write_reward_model
from trainer.reward_model.calibrate import Calibration
from trainer.reward_model.dataset import Cells
from trainer.reward_model.embed import Encoder
from trainer.reward_model.encoders import load_encoder
from trainer.reward_model.hashed import HashedEncoder
from trainer.reward_model.model import SharedBottom, answering
from trainer.reward_model.novelty import Novelty
from trainer.reward_model.surface import ShapedEncoder
from trainer.snapshot import describe_ad, describe_text

FloatArray = npt.NDArray[np.float64]
_CHUNK = 4096


class Triple(NamedTuple):
    """What is scored, as the encoder reads it."""

    query: str
    ad: str
    text: str

    @staticmethod
    def of(brief: AdBrief, text: AdText) -> Triple:
        return Triple(brief.query, describe_ad(brief.ad), describe_text(text))


@dataclass(frozen=True)
class Scores:
    """[N] each. Rewards use logit - κ·std; a model of data without conversions scores CTR in place of
    CTCVR.
    """

    logit: FloatArray  # mean over members of the calibrated logit of pCTCVR
    # standard deviation of logit: √(variance over members + what the log leaves open about the text); it rises for
    # texts unlike those of the log
    std: FloatArray
    ctr: FloatArray
    ctcvr: FloatArray


@dataclass(frozen=True)
class RewardModel:
    """A trained ensemble with its encoder and calibration."""

    version: RewardModelVersion
    encoder: Encoder
    members: tuple[SharedBottom, ...]
    novelty: Novelty

    @property
    def config(self) -> RewardConfig:
        return from_mapping(RewardConfig, self.version.config)

    def score(self, triples: Sequence[Triple]) -> Scores:
        """Score triples at the first place of an answer."""
        if not triples:
            return Scores(*(np.zeros(0) for _ in range(4)))
        strings = sorted({string for triple in triples for string in triple})
        number = {string: at for at, string in enumerate(strings)}
        query, ad, text = (np.array([number[triple[part]] for triple in triples], dtype=np.int64) for part in range(3))
        return self._score(self.encoder.encode(strings), query, ad, text, np.zeros(len(triples), dtype=np.int64))

    def score_cells(self, cells: Cells) -> Scores:
        """Score logged cells where they were shown."""
        return self._score(self.encoder.encode(cells.strings), cells.query, cells.ad, cells.text, cells.position)

    def _score(self, vectors: npt.NDArray[np.float32], *indices: npt.NDArray[np.int64]) -> Scores:
        click, both = member_logits(self.members, torch.from_numpy(vectors), self.config, *indices)
        texts, inverse = np.unique(indices[2], return_inverse=True)
        target = both if self.version.target == "ctcvr" else click
        ctr, ctcvr = (Calibration(*self.version.calibration[rate]) for rate in ("ctr", self.version.target))
        calibrated = ctcvr(target)
        mean = calibrated.mean(axis=0)
        variance = calibrated.var(axis=0) + ctcvr.slope**2 * self.novelty.variance(vectors[texts])[inverse]
        return Scores(mean, np.sqrt(variance), expit(ctr(click).mean(axis=0)), expit(mean))

    def save(self, folder: Path) -> Path:
        """Write encoder, members and, last, the manifest: a folder with a manifest is whole."""
        folder.mkdir(parents=True, exist_ok=True)
        encoder = self.encoder
        if isinstance(encoder, ShapedEncoder):
            encoder.save(folder / "surface.npz")
            encoder = encoder.encoder
        if isinstance(encoder, HashedEncoder):
            encoder.save(folder / "encoder.npz")
        self.novelty.save(folder / "novelty.npz")
        torch.save([member.state_dict() for member in self.members], folder / "members.pt")
        write_reward_model(self.version, folder)
        return folder

    @staticmethod
    def load(folder: Path, *, cache: Path | None = None) -> RewardModel:
        """A saved model. cache: where its encoder's vectors are kept."""
        version = read_reward_model(folder)
        config = from_mapping(RewardConfig, version.config)
        encoder = load_encoder(folder, config, cache)
        if encoder.name != version.encoder:
            raise ValueError(
                f"{folder} was trained on encoder {version.encoder}, here is {encoder.name}: train it again"
            )
        members = []
        for weights in torch.load(folder / "members.pt", weights_only=True):
            member = SharedBottom(encoder.dim, config)
            member.load_state_dict(weights)
            members.append(member.eval())
        return RewardModel(version, encoder, tuple(members), Novelty.load(folder / "novelty.npz"))


@torch.no_grad()
def member_logits(
    members: Sequence[SharedBottom], vectors: torch.Tensor, config: RewardConfig, *indices: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """[members, N] logits of pCTR and of pCTCVR = pCTR · pCVR. indices: query, ad, text, position, [N] each."""
    click, both = (np.zeros((len(members), len(indices[0]))) for _ in range(2))
    for start in range(0, len(indices[0]), _CHUNK):
        part = slice(start, start + _CHUNK)
        query, ad, text, position = (torch.from_numpy(column[part]) for column in indices)
        answer = answering(vectors, config, query, ad, text)
        for row, member in enumerate(members):
            to_click, to_conversion = (logit.double() for logit in member(vectors, query, ad, text, answer, position))
            log_both = logsigmoid(to_click) + logsigmoid(to_conversion)
            click[row, part], both[row, part] = to_click, log_both - torch.log1p(-log_both.exp())
    return click, both


def as_mapping(config: RewardConfig) -> dict[str, object]:
    """The config as a manifest keeps it."""
    return config.model_dump(mode="json")
