"""The paper arithmetic of scaling: weights as published, ceilings as derived by hand, and time that moves the way it
must.
"""

import pytest

from benchmarks.scaling import (
    A800,
    QWEN3_8B,
    SMOLLM2,
    Batch,
    adapter_weights,
    ceiling,
    forward,
    memory,
    step_time,
)


def test_the_counted_weights_are_the_published_ones():
    assert pytest.approx(8.19e9, rel=0.001) == QWEN3_8B.weights
    assert pytest.approx(134.5e6, rel=0.001) == SMOLLM2.weights


@pytest.mark.parametrize(("prompt", "completion", "times"), [(60, 48, 1.66), (150, 60, 2.13), (400, 60, 3.05)])
def test_the_ceilings_of_the_shared_prompt(prompt, completion, times):
    assert ceiling(SMOLLM2, Batch(prompt, completion)) == pytest.approx(times, abs=0.005)


def test_a_shared_prompt_saves_tokens_and_attention_but_never_the_head():
    batch = Batch(prompt=0, completion=60)
    assert forward(QWEN3_8B, batch, shared=True) == forward(QWEN3_8B, batch, shared=False)
    longer = Batch(prompt=400, completion=60)
    assert forward(QWEN3_8B, longer, shared=False) > 3 * forward(QWEN3_8B, longer, shared=True)


def test_half_the_mfu_is_twice_the_training_and_the_same_rollout():
    fast, slow = (step_time(QWEN3_8B, Batch(150, 60), A800, mfu=mfu) for mfu in (0.4, 0.2))
    assert slow.policy == pytest.approx(2 * fast.policy) and slow.reference == pytest.approx(2 * fast.reference)
    assert slow.rollout == fast.rollout and fast.policy == pytest.approx(4 * fast.reference)


@pytest.mark.parametrize("prompt", [150, 400])
def test_the_production_config_fits_on_one_gpu_and_all_weights_do_not(prompt):
    adapted, whole = (memory(QWEN3_8B, Batch(prompt, 60), A800, adapted=adapted) for adapted in (True, False))
    assert sum(adapted.values()) < A800.memory_bytes < sum(whole.values())
    assert adapted["sampler"] >= 0.3 * A800.memory_bytes  # vLLM takes its share, whatever its weights need
    assert all(adapted[part] > 0 for part in ("buckets", "encoders", "push"))


def test_an_adapter_of_every_linear_layer_is_counted():
    assert adapter_weights(QWEN3_8B, 16) == pytest.approx(43.6e6, rel=0.01)
