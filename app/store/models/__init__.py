"""The tables. Importing this package registers all of them with `Base.metadata`."""

from app.store.models import (
    access,
    canaries,
    comparisons,
    creatives,
    events,
    experiments,
    jobs,
    policies,
    reviews,
    rules,
    webhooks,
    withdrawals,
)
from app.store.models.base import Base

__all__ = [
    "Base",
    "access",
    "canaries",
    "comparisons",
    "creatives",
    "events",
    "experiments",
    "jobs",
    "policies",
    "reviews",
    "rules",
    "webhooks",
    "withdrawals",
]
