"""A real browser drives the page: compare, read along, be corrected, give feedback, find it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from driving import fill, upload, visit
from fake_judge import FakeJudge
from fake_moon import Colours
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect

from app.history import Store
from app.moon_panel import Moon
from app.page import start
from app.visitors.uploads import VisitorFiles
from creative4u.moon.catalogue.items import Item
from creative4u.moon.index.catalogue_index import CatalogueIndex, open_catalogue
from creative4u.moon.index.faiss_index import IndexConfig
from creative4u.schema import CreativePair
from creative4u.selector.protocol.questions import QUESTIONS

CHOSEN = "Creative A is more likely to be clicked"


@pytest.fixture(scope="module")
def judge() -> FakeJudge:
    return FakeJudge()


@pytest.fixture(scope="module")
def address(judge: FakeJudge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('home') / 'history.sqlite3'}")
    home = tmp_path_factory.mktemp("catalogue")
    for name in ("red", "blue"):
        Image.new("RGB", (60, 60), name).save(home / f"{name}.png")
    shelf = CatalogueIndex(open_catalogue(home / "none", IndexConfig(dim=3)).index)
    shelf.add([Item(n, f"a {n} thing", images=(home / f"{n}.png",)) for n in ("red", "blue")],
              Colours())  # fmt: skip
    files = VisitorFiles(tmp_path_factory.mktemp("uploads"))
    served = start(judge, store, files, moon=Moon(Colours(), shelf))
    yield served.local_url
    served.close(verbose=False)
    files.close()


@pytest.fixture
def page(browser: Browser, judge: FakeJudge, address: str) -> Iterator[Page]:
    """A fresh visitor's page; a judge that is held is let go at the end."""
    judge.gate.clear()
    page = visit(browser, address)
    yield page
    judge.gate.set()
    page.context.close()


def test_compare_read_along_give_feedback_and_find_it_again(
        page: Page, judge: FakeJudge, images: tuple[Path, Path], tmp_path: Path) -> None:
    fill(page, images, "Leather bag <b>held</b>")
    page.locator("#compare").click()
    expect(page.locator("#compare-cards")).to_contain_text("What the model sees in A")
    expect(page.locator(".c4-growing .c4-order").first).to_contain_text("A has what is searched")
    expect(page.locator("#compare-outcome")).to_be_hidden()  # the reasons come before the choice
    judge.gate.set()
    expect(page.locator("#compare-outcome h2")).to_have_text(CHOSEN)
    expect(page.locator("#compare-outcome")).to_contain_text("Fairly sure: 84% for A.")
    expect(page.locator("#compare-outcome")).to_contain_text("same choice both times")
    assert page.locator(".c4-chosen img").get_attribute("alt") == "Creative A, the chosen one"
    rows = page.locator("#compare-protocol tbody tr")
    expect(rows).to_have_count(len(QUESTIONS))
    expect(rows.nth(3)).to_contain_text("A is better")
    expect(rows.nth(3)).to_contain_text("A shows the whole product; B hides it.")

    with page.expect_download() as download:
        page.locator("#compare-report").click()
    report = Path(download.value.path()).read_text("utf-8")
    assert report.startswith("<!doctype html>")
    assert "Leather bag &lt;b&gt;held&lt;/b&gt;" in report

    page.get_by_label("B is right").check()
    expect(page.locator("#compare-feedback")).to_contain_text("Kept, thank you.")
    page.get_by_role("tab", name="History").click()
    row = page.locator("#history button").first
    expect(row).to_contain_text("Leather bag <b>held</b>")
    expect(row).to_contain_text("you said: B")
    row.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history-outcome h2")).to_have_text(CHOSEN)
    expect(page.locator("#history-feedback").get_by_label("B is right")).to_be_checked()

    page.locator("#export").click()
    with page.expect_download() as download:
        page.locator("#export-file").click()
    download.value.save_as(tmp_path / "pairs.zip")
    shutil.unpack_archive(tmp_path / "pairs.zip", tmp_path / "pairs")
    exported = (tmp_path / "pairs" / "pairs.jsonl").read_text("utf-8").splitlines()
    assert [CreativePair.model_validate_json(line).label for line in exported] == ["B"]

    page.locator("#forget").click()
    expect(page.locator("#forget")).to_have_text("Press again to delete it for good")
    page.locator("#forget").click()
    expect(page.locator("#history-outcome")).to_be_hidden()
    expect(page.locator("#history")).to_contain_text("Nothing here yet.")


def test_likeness_and_neighbours_stand_on_the_page(
        page: Page, images: tuple[Path, Path]) -> None:
    Image.new("RGB", (80, 60), "red").save(images[0])
    Image.new("RGB", (80, 60), "blue").save(images[1].with_suffix(".png"))
    fill(page, (images[0], images[1].with_suffix(".png")), "red bag held")
    page.locator("#compare").click()
    panel = page.locator("#compare-moon")
    expect(panel).to_contain_text("A and the title: 1.00 (nearer)")
    expect(page.locator("#compare-outcome")).to_be_hidden()  # the judge is still reasoning
    expect(panel).to_contain_text("a red thing")
    assert panel.locator("img").count() == 4  # two neighbours of each creative


def test_bad_input_is_told_in_place_and_the_page_goes_on(
        page: Page, images: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("these are no pixels")
    upload(page, "a", images[0])
    upload(page, "b", tmp_path / "notes.jpg")
    expect(page.locator("#note-b")).to_contain_text("notes.jpg: not an image")
    page.locator("#compare").click()
    expect(page.locator("#note-b")).to_contain_text("Add an image here")
    expect(page.locator("#note-words")).to_contain_text("title is empty")
    expect(page.locator("#note-a")).to_have_text("")

    fill(page, images, "runs out of tokens")
    page.locator("#compare").click()
    expect(page.locator("#status")).to_contain_text("No verdict this time.")
    expect(page.locator("#status")).to_contain_text("ran out of tokens")
    expect(page.locator("#note-b")).to_have_text("")

    page.locator("#title").get_by_label("Product title").fill("Leather bag")
    page.locator("#compare").click()
    expect(page.locator("#compare-outcome h2")).to_have_text(CHOSEN)
    expect(page.locator("#status")).to_have_text("")


def test_many_are_ranked(page: Page, images: tuple[Path, Path]) -> None:
    page.get_by_role("tab", name="Best of many").click()
    page.set_input_files("#best-files input[type=file]", images)
    expect(page.locator("#best-seen img")).to_have_count(2)
    page.locator("#best-go").click()
    expect(page.locator("#best-note")).to_contain_text("title is empty")
    page.locator("#best-title").get_by_label("Product title").fill("Leather bag")
    page.locator("#best-go").click()
    expect(page.locator("#best-ranking h2")).to_have_text("bold.png is most likely to be clicked")
    expect(page.locator("#best-ranking li.c4-chosen")).to_contain_text("preferred in 1 of 1")


def test_stopping_lets_the_next_comparison_through(page: Page, images: tuple[Path, Path]) -> None:
    fill(page, images, "held")
    page.locator("#compare").click()
    expect(page.locator(".c4-growing li").first).to_be_visible()
    page.locator("#stop").click()
    expect(page.locator("#status")).to_contain_text("Stopped.")
    expect(page.locator(".c4-growing")).to_have_count(0)
    page.locator("#title").get_by_label("Product title").fill("Leather bag")
    page.locator("#compare").click()
    expect(page.locator("#compare-outcome h2")).to_be_visible()


def test_nothing_is_loaded_from_elsewhere_and_a_phone_needs_no_sideways_scroll(
        page: Page, address: str) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.locator("#compare")).to_be_visible()
    page.get_by_role("tab", name="History").click()
    page.get_by_role("tab", name="Compare").click()
    here = urlsplit(address).netloc
    assert asked
    assert [url for url in asked
            if urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != here] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_another_browser_cannot_read_an_upload(page: Page, images: tuple[Path, Path]) -> None:
    upload(page, "a", images[0])
    shown = page.locator("#image-a img")
    expect(shown).to_be_visible()
    address = page.evaluate("element => element.src", shown.element_handle())
    assert page.request.get(address).status == 200
    stranger = page.context.browser
    assert stranger is not None
    assert stranger.new_context().request.get(address).status == 403
