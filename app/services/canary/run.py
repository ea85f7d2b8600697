"""One run of the job `canary`: start one where a policy is named, then look at all that are open."""

from __future__ import annotations

from uuid import UUID

from app.core.settings import Settings
from app.policies.clients import PolicyClients
from app.services.canary import ramp
from app.services.canary.looks import Looks
from app.services.canary.rules import CanaryRules
from app.services.events.aggregation import Aggregation
from app.services.registry.adapters import Adapters
from app.services.registry.promotion import Promotions
from app.store.database import Database


async def run(
    settings: Settings, policy: str | None, rules: CanaryRules, layer: str, *, job_id: str | None = None
) -> list[str]:
    """What became of each open canary, one sentence each. Problem where the policy may not start.

    A job that was interrupted after it had started its canary goes on to the look.
    """
    database, clients = Database(settings), PolicyClients(settings)
    try:
        job = UUID(job_id) if job_id else None
        if policy is not None and not await ramp.started_by(database, job):
            await ramp.start(
                database, clients, Adapters(settings), policy, rules, layer=layer, actor=ramp.ACTOR, job_id=job
            )

        async def nothing_held() -> None:
            """This process holds no registry in memory; replicas hear of the change."""

        promotions = Promotions(database, clients, nothing_held)
        return await Looks(database, promotions, Aggregation(settings, database)).look()
    finally:
        await clients.close()
        await database.close()
