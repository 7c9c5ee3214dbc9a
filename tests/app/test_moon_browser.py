"""A real browser sees MOON's likeness while the judge is still held in its reasoning."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fake_judge import FakeJudge
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from test_moon_panel import Colours

from app.moon_panel import Moon
from app.page import start
from app.store import Store

PATIENCE = 120_000  # milliseconds: a bound for a busy machine, not a measure


def test_likeness_stands_before_the_reasoning_has_ended(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        missing = "no chromium on this machine: the page was not driven"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    for side, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (200, 200), colour).save(tmp_path / f"{side}.png")
    judge = FakeJudge()
    served = start(judge, Store(f"sqlite:///{tmp_path / 'h.sqlite3'}"), moon=Moon(Colours()))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            page.goto(served.local_url)
            for side in "ab":
                page.set_input_files(f"#image-{side} input[type=file]", tmp_path / f"{side}.png")
                expect(page.locator(f"#image-{side} img")).to_be_visible()
            page.locator("#title").get_by_label("Product title").fill("red bag held")
            page.locator("#compare").click()
            expect(page.locator("#compare-moon")).to_contain_text("A and the title: 1.00 (nearer)")
            expect(page.locator("#compare-moon")).to_contain_text("B and the title: 0.00")
            expect(page.locator("#compare-outcome")).to_be_hidden()  # the judge is still held
            judge.gate.set()
            expect(page.locator("#compare-outcome h2")).to_be_visible()
            expect(page.locator("#compare-moon")).to_contain_text("A and the title: 1.00")
            browser.close()
    finally:
        judge.gate.set()
        served.close(verbose=False)
