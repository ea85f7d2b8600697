"""Yardsticks are calibrated on training advertisers, and hold the logs and reward models that are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.logs import save_market
from tests.trainer.small import save_prompts, small_prompts
from trainer.evaluation.run import Yardsticks
from trainer.prompts import PromptError


def test_relevance_is_calibrated_on_training_advertisers_and_templates_serve_without_logs(tmp_path: Path) -> None:
    prompts = small_prompts()
    file = save_prompts(tmp_path / "ads.jsonl", prompts[:4])
    save_prompts(file, prompts[4:], split="held_out")
    sticks = Yardsticks.load(prompts=file)
    alone = Yardsticks.load(prompts=save_prompts(tmp_path / "train.jsonl", prompts[:4]))
    assert (sticks.relevance.slope, sticks.relevance.middle) == (alone.relevance.slope, alone.relevance.middle)
    prompt = prompts[0]
    near, far = sticks.relevance.of([prompt.brief] * 2, [prompt.references[0], prompts[3].references[0]])
    assert near > 0.5 > far
    assert sticks.models == {} and not sticks.nlg.logged


def test_nlg_starts_with_logged_texts_where_a_snapshot_is_given(tmp_path: Path) -> None:
    file = save_prompts(tmp_path / "ads.jsonl", small_prompts())
    snapshot = save_market(tmp_path / "snapshot", groups=3, texts=2)
    assert Yardsticks.load(prompts=file, logged=snapshot).nlg.logged.keys() == {f"advertiser {n}" for n in range(3)}


def test_without_training_prompts_there_is_nothing_to_calibrate_on(tmp_path: Path) -> None:
    file = save_prompts(tmp_path / "ads.jsonl", small_prompts(), split="held_out")
    with pytest.raises(PromptError, match="no prompts in 'en' of split train"):
        Yardsticks.load(prompts=file)
