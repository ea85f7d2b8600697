"""Several ranks under DeepSpeed ZeRO-2 learn what one process learns; and a rank that dies takes its group with it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import torch

from tests.trainer.policies import distance
from tests.trainer.rank_steps import cases, steps
from tests.trainer.runs import curves
from tests.trainer.small import save_small_policy, small_prompts
from trainer.launch.local import RankError, launch, rank_environment
from trainer.policy import load_policy, trained_state


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return save_small_policy(tmp_path_factory.mktemp("policy") / "base", small_prompts(), width=16)


@pytest.mark.slow
def test_two_ranks_learn_what_one_process_learns(policy, tmp_path):
    launch([sys.executable, "-m", "tests.trainer.rank_steps", str(policy), "2", str(tmp_path / "found.pt")], ranks=2)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    start = trained_state(load_policy(policy)[0])

    def flat(state, minus=None):
        return torch.cat([(state[name] - (minus[name] if minus else 0)).flatten() for name in sorted(start)])

    for name, (config, number, sgd) in cases(1).items():
        losses, norms, weights = steps(policy, config, number=number, sgd=sgd)
        their_losses, their_norms, their_weights = found[name]
        if sgd:
            assert distance(flat(their_weights, start), flat(weights, start)) <= 1e-5, name  # minus the global gradient
            assert their_norms == pytest.approx(norms, rel=1e-4), name
        assert their_losses == pytest.approx(losses, rel=1e-3, abs=1e-6), name
    assert distance(flat(found["gradient, separate prompts"][2], start), flat(found["gradient"][2], start)) <= 1e-4


@pytest.mark.slow
def test_a_run_whose_rank_was_killed_ends_soon_and_goes_on_where_it_was(policy, tmp_path):
    def run(out: Path, *fails_at: str) -> None:
        launch([sys.executable, "-m", "tests.trainer.rank_run", str(policy), str(out), *fails_at], ranks=2)

    with pytest.raises(RankError, match="rank 1 of 2 was killed by signal 9"):
        run(tmp_path / "killed", "4")  # a checkpoint holds two steps
    run(tmp_path / "killed")
    run(tmp_path / "whole")
    resumed, whole = curves(tmp_path / "killed"), curves(tmp_path / "whole")
    assert [step["step"] for step in resumed] == list(range(5))
    for name in ("reward", "loss", "kl", "grad_norm", "length"):
        assert [step[name] for step in resumed] == pytest.approx([step[name] for step in whole], rel=1e-5, abs=1e-5), (
            name
        )


ENDS = "import os, signal, sys; rank = os.environ['RANK']; {}; signal.pause()"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (
            "rank == '1' and os.kill(os.getpid(), signal.SIGKILL)",
            "rank 1 of 3 was killed by signal 9: all were stopped",
        ),
        ("rank == '2' and sys.exit(3)", "rank 2 of 3 ended with status 3: all were stopped"),
    ],
    ids=["killed", "failed"],
)
def test_a_rank_that_ends_badly_ends_the_group_with_one_line(ends, said):
    with pytest.raises(RankError, match=said) as raised:
        launch([sys.executable, "-c", ENDS.format(ends)], ranks=3)
    assert "\n" not in str(raised.value)


@pytest.mark.timeout(60)
def test_a_rank_that_ignores_being_asked_is_ended_all_the_same():
    deaf = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); rank == '0' and os.kill(os.getpid(), {int(signal.SIGABRT)})"
    with pytest.raises(RankError, match="rank 0 of 2 was killed by signal 6"):
        launch([sys.executable, "-c", ENDS.format(deaf)], ranks=2)


def test_ranks_that_end_well_are_waited_for(tmp_path):
    write = (
        "import os, pathlib; pathlib.Path(os.environ['OUT'], os.environ['RANK']).write_text(os.environ['WORLD_SIZE'])"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUT", str(tmp_path))
        launch([sys.executable, "-c", write], ranks=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]


def test_every_rank_meets_at_the_same_place():
    first, second = (rank_environment(rank, 2, "10.0.0.1", 29500) for rank in range(2))
    assert {name for name in first if first[name] != second[name]} == {"RANK", "LOCAL_RANK"}
