"""Steps that a visitor's browser takes on the page."""

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

PATIENCE = 120_000  # milliseconds: a bound for a busy machine, not a measure


def visit(browser: Browser, address: str) -> Page:
    """Open the page as a new visitor."""
    visitor = browser.new_context(viewport={"width": 1280, "height": 900})
    visitor.set_default_timeout(PATIENCE)
    page = visitor.new_page()
    page.goto(address)
    expect(page.locator("#compare")).to_be_visible()
    return page


def upload(page: Page, side: str, path: Path) -> None:
    page.set_input_files(f"#image-{side} input[type=file]", path)


def fill(page: Page, images: Sequence[Path], title: str) -> None:
    """Upload both images and write title and queries."""
    for side, path in zip("ab", images, strict=True):
        upload(page, side, path)
        expect(page.locator(f"#image-{side} img")).to_be_visible()
    page.locator("#title").get_by_label("Product title").fill(title)
    page.locator("#queries").get_by_label("What shoppers search for").fill("leather bag\ntote")
