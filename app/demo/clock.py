"""The API of the demonstration: the same service, with a clock that begins in the past and is moved ahead.

A report needs days: a conversion has hours to arrive, and an impression counts only when its window is over. The clock
lives in this module alone; `relate serve` does not know it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import time_machine
import uvicorn
from fastapi import Depends, FastAPI
from pydantic import AwareDatetime, BaseModel, ConfigDict

from app.core.logs import configure
from app.core.problems import Problem, documented
from app.core.settings import Settings
from app.http.auth import require
from app.http.connections import protocol
from app.main import create_app
from app.store.registry import Key

BEGINS = "RELATE_DEMO_BEGINS"  # an RFC 3339 time: what the clock shows when the process starts


class Clock(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = None  # null: the present, for good


class DemoClock:
    """The clock of this process: it ticks like any other, and jumps ahead when it is told to."""

    def __init__(self, begins: datetime) -> None:
        self._travel = time_machine.travel(begins, tick=True)
        self._clock: time_machine.Traveller | None = self._travel.start()

    def move(self, at: datetime | None) -> datetime:
        """Jump ahead to `at`, or to the present and stay there. ValueError for a time that the clock has passed."""
        if at is not None and at < datetime.now(UTC):
            raise ValueError(f"the clock shows {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} already, and never goes back")
        if self._clock is None:
            raise ValueError("the demonstration has arrived in the present: its clock is an ordinary one now")
        if at is None:
            self._travel.stop()
            self._clock = None
        else:
            self._clock.move_to(at)
        return datetime.now(UTC)


def demo_app(settings: Settings, clock: DemoClock) -> FastAPI:
    """The service, and `POST /demo/clock` for its admin."""
    app = create_app(settings)

    @app.post("/demo/clock", responses=documented())
    async def move(body: Clock, _: Annotated[Key, Depends(require("admin"))]) -> Clock:
        """Move the clock ahead, or with null to the present."""
        try:
            return Clock(at=clock.move(body.at))
        except ValueError as error:
            raise Problem(409, "clock", str(error), field="at", value=str(body.at)) from error

    return app


def main() -> None:
    """Serve until stopped, with the settings and the clock that the environment names."""
    settings = Settings()
    configure(settings.log_level)
    clock = DemoClock(datetime.fromisoformat(os.environ[BEGINS]))
    uvicorn.run(
        demo_app(settings, clock),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=protocol(settings),
        ws="none",
        access_log=False,
        log_config=None,
    )


if __name__ == "__main__":
    main()
