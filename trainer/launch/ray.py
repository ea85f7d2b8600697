"""The same trainer on a Ray cluster: one actor per rank, on one GPU each where there are any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from trainer.launch.local import RankError, free_port, rank_environment


def launch_on_ray(arguments: Sequence[str], ranks: int) -> None:
    """Run `python -m trainer …` in `ranks` actors of the cluster at RAY_ADDRESS, or of one started here. RankError when
    one fails.

    All actors are placed before any starts; they must see the same files.
    """
    import ray

    started_here = not ray.is_initialized()
    ray.init(address=os.environ.get("RAY_ADDRESS"), ignore_reinit_error=True, log_to_driver=True)
    try:
        _run(ray, arguments, ranks)
    finally:
        if started_here:
            ray.shutdown()


def _run(ray: Any, arguments: Sequence[str], ranks: int) -> None:
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    if (cores := ray.cluster_resources().get("CPU", 0)) < ranks:
        raise RankError(f"{ranks} ranks need a CPU each and the Ray cluster has {cores:g}: add nodes, or lower ranks")
    gpus = 1 if ray.cluster_resources().get("GPU", 0) >= ranks else 0
    together = placement_group([{"CPU": 1, "GPU": gpus} if gpus else {"CPU": 1}] * ranks, strategy="PACK")
    ray.get(together.ready())
    strategy = PlacementGroupSchedulingStrategy(placement_group=together)
    rank_actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, scheduling_strategy=strategy)(_Rank)
    actors = [rank_actor.remote() for _ in range(ranks)]
    try:
        address, port = ray.get(actors[0].meeting_point.remote())
        waiting = {
            actor.train.remote(list(arguments), rank, ranks, address, port): rank for rank, actor in enumerate(actors)
        }
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            rank = waiting.pop(done)
            try:
                ray.get(done)
            except ray.exceptions.RayError as error:
                first = str(error).strip().splitlines()[-1]
                raise RankError(
                    f"rank {rank} of {ranks} failed ({first}): all were stopped; start again, it resumes from its "
                    "last checkpoint"
                ) from error
    finally:
        for actor in actors:
            ray.kill(actor)
        remove_placement_group(together)


class _Rank:
    """One rank in its own process, as its engine requires."""

    def meeting_point(self) -> tuple[str, int]:
        import ray

        return ray.util.get_node_ip_address(), free_port()

    def train(self, arguments: list[str], rank: int, ranks: int, address: str, port: int) -> None:
        # Ray shows an actor its own GPU only
        os.environ.update({**rank_environment(rank, ranks, address, port), "LOCAL_RANK": "0"})
        import_module("trainer.cli").run(arguments)  # by name: the command line imports this launcher
