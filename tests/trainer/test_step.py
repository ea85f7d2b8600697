"""A step is the same step however it is cut into micro-batches and rows, and one that would spoil the weights is not
taken.
"""

from __future__ import annotations

from contextlib import contextmanager
from math import log
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from tests.trainer.policies import Frozen, a_config, a_policy, distance, some_groups
from trainer.forward.layout import completion_logprobs, pack
from trainer.grpo.step import NotFiniteError, optimise
from trainer.policy import Reference

GROUPS = some_groups(((7, (3, 5, 1, 6, 2)), (4, (2, 6, 4, 1, 7)), (9, (5, 5, 5, 5, 5))))
TEXTS, LONGEST = 15, 8


def some_advantages(seed: int = 4) -> Tensor:
    return torch.randn(TEXTS, LONGEST, generator=torch.Generator().manual_seed(seed))


def weights(model: Any) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


def moved(model: Any, advantages: Tensor, sampler: Tensor | None = None, **settings: Any) -> dict[str, Tensor]:
    """How far one step of plain descent, without clipping, moves every weight: minus the gradient."""
    before = weights(model)
    reference = Frozen(a_policy(seed=1)) if settings.get("beta") else None
    descent, config = torch.optim.SGD(model.parameters(), lr=1.0), a_config(max_grad_norm=1e9, **settings)
    optimise(model, descent, GROUPS, advantages, config, reference=reference, sampler=sampler)
    return {name: after - before[name] for name, after in weights(model).items()}


@pytest.mark.parametrize("training", ["full", "lora", "checkpointing"])
def test_a_step_with_shared_prompts_is_the_step_with_separate_ones(training):
    found = []
    for shared in (True, False):
        model = a_policy(lora=training == "lora")
        if training == "checkpointing":
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        found.append(moved(model, some_advantages(), shared_prompt=shared, beta=0.0 if training == "lora" else 0.02))
    assert max(distance(found[0][name], found[1][name]) for name in found[0]) <= 1e-4


@pytest.mark.parametrize("aggregation", ["sum", "sequence", "token"])
def test_micro_batches_change_no_step(aggregation):
    found = [
        moved(a_policy(), some_advantages(), aggregation=aggregation, micro_groups=groups, beta=0.02)
        for groups in (1, 2, 3)
    ]
    for cut in found[:2]:
        assert max(distance(cut[name], found[2][name]) for name in cut) <= 1e-4


def test_one_update_has_ratio_one_and_a_second_is_clipped_against_the_first():
    first, second = (
        optimise(
            model, torch.optim.SGD(model.parameters(), lr=30.0), GROUPS, some_advantages(), a_config(updates=updates)
        )
        for updates, model in ((1, a_policy()), (2, a_policy()))
    )
    assert first.ratio == pytest.approx(1.0) and first.clipped_low == first.clipped_high == 0.0
    assert second.ratio != pytest.approx(1.0, abs=1e-3) and second.clipped_low + second.clipped_high > 0


def test_a_step_makes_charged_tokens_less_likely_even_where_all_texts_are_equally_good():
    model, charges = a_policy(), torch.zeros(TEXTS, LONGEST)
    charges[3, 2] = -2.0  # the group's sentence advantages are all zero
    step = moved(model, charges)
    assert any(change.any() for change in step.values())
    assert not any(change.any() for change in moved(a_policy(), torch.zeros(TEXTS, LONGEST)).values())


def test_a_sampler_that_is_off_counts_each_token_by_what_the_policy_would_have_given_it():
    model = a_policy()
    exact = completion_logprobs(model, pack(GROUPS)).logp.detach()
    plain = moved(model, some_advantages())
    same = moved(a_policy(), some_advantages(), sampler=exact, sampler_cap=2.0)
    # drew everything twice as often
    halved = moved(a_policy(), some_advantages(), sampler=exact + log(2), sampler_cap=2.0)
    capped = moved(a_policy(), some_advantages(), sampler=exact - log(8), sampler_cap=2.0)
    for name, step in plain.items():
        for found, share in ((same, 1.0), (halved, 0.5), (capped, 2.0)):
            assert distance(found[name], share * step) <= 1e-4
    with pytest.raises(ValueError, match="needs the sampler's log-probabilities"):
        moved(a_policy(), some_advantages(), sampler_cap=2.0)


def test_without_a_kl_term_the_reference_is_never_run():
    class Forbidden:
        @contextmanager
        def active(self):
            raise AssertionError("the reference was asked for")
            yield

    model = a_policy()
    report = optimise(
        model, torch.optim.SGD(model.parameters()), GROUPS, some_advantages(), a_config(), reference=Forbidden()
    )
    assert report.kl == 0.0


def test_the_kl_to_the_start_is_zero_before_the_first_step_and_grows_after_it():
    for lora in (False, True):
        model = a_policy(lora=lora)
        reference, optimizer = (
            Reference(model),
            torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-2),
        )
        before, after = (
            optimise(model, optimizer, GROUPS, some_advantages(), a_config(beta=0.02), reference=reference).kl
            for _ in range(2)
        )
        assert before == pytest.approx(0.0, abs=1e-6) and after > 1e-4


def test_a_kl_term_without_a_reference_stops_before_any_forward_pass():
    with pytest.raises(ValueError, match=r"beta 0\.02 needs the reference policy"):
        optimise(a_policy(), torch.optim.SGD(a_policy().parameters()), GROUPS, some_advantages(), a_config(beta=0.02))


@pytest.mark.parametrize("culprit", ["advantages", "log-probabilities of the policy"])
def test_a_loss_that_is_no_number_stops_with_one_line_and_takes_no_step(culprit):
    model, advantages = a_policy(), some_advantages()
    if culprit == "advantages":
        advantages[7, 0] = float("nan")
    else:
        with torch.no_grad():
            model.model.embed_tokens.weight[list(GROUPS[1].prompt)] = float("nan")
    before = weights(model)
    with pytest.raises(NotFiniteError, match=rf"micro-batch 2 of 3 is not finite \(not finite: {culprit}\)") as stopped:
        optimise(model, torch.optim.AdamW(model.parameters()), GROUPS, advantages, a_config())
    assert "\n" not in str(stopped.value)
    assert all(torch.equal(after.nan_to_num(), before[name].nan_to_num()) for name, after in weights(model).items())


def test_empty_texts_are_counted_and_move_nothing():
    groups = [
        GROUPS[0]._replace(completions=[*GROUPS[0].completions[:3], [], []]),
        GROUPS[1]._replace(completions=[[]] * 5),
        GROUPS[2],
    ]
    report = optimise(model := a_policy(), torch.optim.SGD(model.parameters()), groups, some_advantages(), a_config())
    assert (report.empty, report.tokens) == (7, 3 + 5 + 1 + 25)

    changed = some_advantages()
    changed[3:10] += 5.0  # the advantages of texts that have no token
    found = []
    for advantages in (some_advantages(), changed):
        model = a_policy()
        optimise(model, torch.optim.SGD(model.parameters(), lr=1.0), groups, advantages, a_config())
        found.append(weights(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_advantages_that_do_not_fit_the_texts_are_refused():
    with pytest.raises(ValueError, match="14 rows of advantages for 15 texts"):
        optimise(model := a_policy(), torch.optim.SGD(model.parameters()), GROUPS, some_advantages()[:14], a_config())


def test_a_step_in_half_precision_is_close_to_the_exact_one():
    exact, rounded = (
        moved(a_policy(), some_advantages(), precision=precision) for precision in ("float32", "bfloat16")
    )
    together = [torch.cat([step[name].flatten() for name in sorted(step)]) for step in (rounded, exact)]
    assert 0 < distance(*together) < 0.05


def test_a_step_under_accelerate_is_the_plain_one():
    plain = moved(a_policy(), some_advantages())
    accelerator = Accelerator(cpu=True)
    policy = a_policy()
    model, optimizer = accelerator.prepare(policy, torch.optim.SGD(policy.parameters(), lr=1.0))
    before = weights(model)
    optimise(model, optimizer, GROUPS, some_advantages(), a_config(max_grad_norm=1e9), accelerator=accelerator)
    assert all(torch.equal(after - before[name], plain[name]) for name, after in weights(model).items())
