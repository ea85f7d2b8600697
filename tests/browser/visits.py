"""A visitor of the pages: what it saw, and what went wrong on the way. Screenshots go to tests/browser/screenshots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).parent / "screenshots"


@dataclass(frozen=True)
class Site:
    """The running service and a key of an analyst who may also operate and review."""

    url: str
    key: str


@dataclass
class Visit:
    """One visitor's pages, with everything that went wrong in the browser, and every host it talked to."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def sign_in(self) -> None:
        self.open("/signin")
        self.page.get_by_label("API key").fill(self.site.key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/pages/experiments")

    def plotted(self) -> None:
        for canvas in self.page.locator(".canvas").all():
            canvas.locator(".main-svg").first.wait_for()

    def shoot(self, name: str, *, full_page: bool = True) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=full_page)


Visitor = Callable[..., Visit]
