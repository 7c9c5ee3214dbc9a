"""What the page's tests share: folders for uploads, a real browser, two images to upload."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import PATIENCE
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, expect, sync_playwright

from app.visitors.uploads import VisitorFiles

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[VisitorFiles]:
    files = VisitorFiles(tmp_path / "uploads")
    yield files
    files.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        missing = "no chromium on this machine: the page was not driven"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    bold = Image.new("RGB", (1200, 900), "white")
    ImageDraw.Draw(bold).rounded_rectangle((300, 200, 900, 800), 80, fill="maroon")
    bold.save(tmp_path / "bold.png")
    Image.new("RGB", (500, 700), "#eeeeee").save(tmp_path / "pale.jpg")
    return tmp_path / "bold.png", tmp_path / "pale.jpg"
