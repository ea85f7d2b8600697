"""The tables. Importing this package registers all of them with `Base.metadata`."""

from app.models import access, creatives, events, experiments, policies
from app.models.base import Base

__all__ = ["Base", "access", "creatives", "events", "experiments", "policies"]
