"""What a person does with the pages: list, report, breakdown, export, planner; in the dark, on a phone, without JavaScript."""

from __future__ import annotations

import pytest
from visits import Visitor

pytestmark = pytest.mark.browser

REPORT = "/pages/experiments/title-relate-v3"


def test_shots(visitor: Visitor) -> None:
    visit = visitor()
    visit.shoot("list")
    for name in ("title-relate-v3", "health-desc", "lost-units", "weight-loss-v2", "咖啡-标题"):
        visit.open(f"/pages/experiments/{name}?by=locale")
        visit.plotted()
        visit.shoot(name)
    visit.open("/pages/planner")
    visit.plotted()
    visit.shoot("planner")
    visit.open("/pages/new-experiment")
    visit.shoot("new")
