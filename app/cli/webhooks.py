"""`relate webhooks`: the command that a job of this kind runs."""

from __future__ import annotations


def webhooks() -> None:
    """Send the webhooks that are due: RELATE_WEBHOOK_URLS. The worker runs it when there are some."""
    import asyncio

    from app.core.settings import Settings
    from app.services.webhooks.delivery import deliver_due
    from app.up.database import reachable

    with reachable(Settings()) as settings:
        done = asyncio.run(deliver_due(settings))
    print(", ".join(f"{outcome}: {number}" for outcome, number in done.items() if number) or "nothing is due")
