"""`relate webhooks`: what a job of that kind runs."""

from __future__ import annotations


def webhooks() -> None:
    """Send the webhooks that are due: RELATE_WEBHOOK_URLS. The worker runs it when there are some."""
    import asyncio

    from app.core.settings import Settings
    from app.services.webhooks.delivery import Webhooks
    from app.store.database import Database
    from app.up.database import reachable

    async def deliver(settings: Settings) -> dict[str, int]:
        database = Database(settings)
        sender = Webhooks(settings, database)
        try:
            return await sender.deliver()
        finally:
            await sender.close()
            await database.close()

    with reachable(Settings()) as settings:
        done = asyncio.run(deliver(settings))
    print(", ".join(f"{outcome}: {number}" for outcome, number in done.items() if number) or "nothing is due")
