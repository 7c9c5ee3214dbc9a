"""Several visitors at once, in real browsers and by hand-made requests: all are served, in turn."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from caller import Caller
from driving import fill, visit
from fake_judge import FakeJudge
from playwright.sync_api import Browser, Page, expect

from app.history import Store
from app.page import start
from app.visitors.uploads import VisitorFiles
from app.visitors.visitor_queue import Turn

CHOSEN = "Creative A is more likely to be clicked"
WAITED = 20  # looks at the line; at two a second these are ten seconds
MANY = 8


@pytest.fixture(scope="module")
def looks() -> Iterator[threading.Semaphore]:
    """Released once for every look at the line, which are many a second here."""
    counted, patch, wait = threading.Semaphore(0), pytest.MonkeyPatch(), Turn.wait

    def look(turn: Turn, seconds: float) -> bool:
        counted.release()
        return wait(turn, seconds)

    patch.setattr(Turn, "wait", look)
    patch.setattr("app.visitors.visitor_queue.POLL", 0.05)
    patch.setattr("app.visitors.visitor_queue.BEAT", 0.2)
    yield counted
    patch.undo()


@pytest.fixture(scope="module")
def judge() -> FakeJudge:
    return FakeJudge()


@pytest.fixture(scope="module")
def address(judge: FakeJudge, looks: threading.Semaphore,
            tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    files = VisitorFiles(home / "uploads")
    served = start(judge, Store(f"sqlite:///{home / 'history.sqlite3'}"), files)
    yield served.local_url
    served.close(verbose=False)
    files.close()


@pytest.fixture
def held(judge: FakeJudge, browser: Browser, address: str,
         images: tuple[Path, Path]) -> Iterator[Page]:
    """A first visitor, whose comparison goes on until the judge is let go."""
    judge.gate.clear()
    page = visit(browser, address)
    press(page, images, "held")
    expect(page.locator(".c4-growing li").first).to_be_visible()
    yield page
    judge.gate.set()
    for context in browser.contexts:
        context.close()


def press(page: Page, images: tuple[Path, Path], title: str) -> None:
    fill(page, images, title)
    page.locator("#compare").click()


def wait_long(looks: threading.Semaphore) -> None:
    """Until the line has been looked at as often as in ten seconds; every look is a view."""
    while looks.acquire(blocking=False):
        pass
    for _ in range(WAITED):
        assert looks.acquire(timeout=60)


def test_who_waits_for_long_sees_the_place_and_gets_the_verdict(
        held: Page, browser: Browser, address: str, images: tuple[Path, Path], judge: FakeJudge,
        looks: threading.Semaphore) -> None:
    second = visit(browser, address)
    press(second, images, "Leather bag")
    expect(second.locator("#status")).to_contain_text("Waiting: 1 comparison ahead of yours.")
    wait_long(looks)
    expect(second.locator("#status")).to_contain_text("Waiting: 1 comparison ahead of yours.")
    expect(second.locator("#compare-cards img")).to_have_count(2)
    judge.gate.set()
    for page in (held, second):
        expect(page.locator("#compare-outcome h2")).to_have_text(CHOSEN)


def test_a_tournament_waits_in_the_same_line(
        held: Page, browser: Browser, address: str, images: tuple[Path, Path], judge: FakeJudge,
        looks: threading.Semaphore) -> None:
    second = visit(browser, address)
    second.get_by_role("tab", name="Best of many").click()
    second.set_input_files("#best-files input[type=file]", images)
    second.locator("#best-title").get_by_label("Product title").fill("Leather bag")
    expect(second.locator("#best-seen img")).to_have_count(2)
    second.locator("#best-go").click()
    expect(second.locator("#best-status")).to_contain_text("Waiting: 1 comparison ahead of yours.")
    wait_long(looks)
    judge.gate.set()
    expect(second.locator("#best-ranking h2")).to_have_text("bold.png is most likely to be clicked")


def test_who_stops_while_waiting_is_told_and_may_come_again(
        held: Page, browser: Browser, address: str, images: tuple[Path, Path],
        judge: FakeJudge) -> None:
    second = visit(browser, address)
    press(second, images, "Leather bag")
    expect(second.locator("#status")).to_contain_text("Waiting: 1 comparison")
    second.locator("#stop").click()
    expect(second.locator("#status")).to_contain_text("Stopped.")
    expect(held.locator(".c4-growing li").first).to_be_visible()
    second.locator("#compare").click()
    expect(second.locator("#status")).to_contain_text("Waiting: 1 comparison")
    judge.gate.set()
    for page in (held, second):
        expect(page.locator("#compare-outcome h2")).to_have_text(CHOSEN)


def test_who_leaves_while_waiting_gives_the_place_back(
        held: Page, browser: Browser, address: str, images: tuple[Path, Path],
        judge: FakeJudge) -> None:
    second, third = visit(browser, address), visit(browser, address)
    press(second, images, "Leather bag")
    expect(second.locator("#status")).to_contain_text("Waiting: 1 comparison")
    press(third, images, "Leather bag")
    expect(third.locator("#status")).to_contain_text("Waiting: 2 comparisons ahead of yours.")
    second.close()
    expect(third.locator("#status")).to_contain_text("Waiting: 1 comparison ahead of yours.")
    judge.gate.set()
    for page in (held, third):
        expect(page.locator("#compare-outcome h2")).to_have_text(CHOSEN)


def test_who_leaves_while_being_served_lets_the_next_one_through(
        held: Page, browser: Browser, address: str, images: tuple[Path, Path],
        judge: FakeJudge) -> None:
    second = visit(browser, address)
    press(second, images, "Leather bag")
    expect(second.locator("#status")).to_contain_text("Waiting: 1 comparison")
    held.close()  # the judge is still held
    expect(second.locator("#compare-outcome h2")).to_have_text(CHOSEN)


def test_eight_browsers_at_once(
        held: Page, browser: Browser, address: str, images: tuple[Path, Path],
        judge: FakeJudge) -> None:
    pages = [visit(browser, address) for _ in range(MANY - 1)]
    for place, page in enumerate(pages, start=1):
        press(page, images, f"Leather bag {place}")
        expect(page.locator("#status")).to_contain_text(f"Waiting: {place} comparison")
    judge.gate.set()
    for page in (held, *pages):
        expect(page.locator("#compare-outcome h2")).to_have_text(CHOSEN)
    pages[0].get_by_role("tab", name="History").click()
    rows = pages[0].locator("#history button")
    expect(rows.first).to_contain_text(f"Leather bag {MANY - 1}")
    kept = [re.search(r"Leather bag \d", row.inner_text()) for row in rows.all()[:MANY - 1]]
    assert [found and found[0] for found in kept] == [
        f"Leather bag {place}" for place in range(MANY - 1, 0, -1)]  # newest first


def test_eight_callers_at_once(
        address: str, images: tuple[Path, Path], judge: FakeJudge,
        looks: threading.Semaphore) -> None:
    judge.gate.clear()
    callers = [Caller(address) for _ in range(MANY)]
    waiting = [threading.Event() for _ in callers]

    def wait_and_read(number: int) -> list[int]:
        """The places that were shown, once the verdict is there."""
        places: list[int] = []
        chosen = False
        for message in callers[number].follow():
            said = json.dumps(message)
            places += [int(ahead) for ahead in re.findall(r"Waiting: (\d+) comparison", said)]
            if places or "Looking at each image" in said:
                waiting[number].set()
            chosen = chosen or CHOSEN in said
        assert message["success"], message
        assert chosen
        return places

    with ThreadPoolExecutor(MANY) as pool:
        told = []
        for number, caller in enumerate(callers):
            paths = caller.upload(*((path.name, path.read_bytes()) for path in images))
            caller.compare(*paths, "held").raise_for_status()
            told.append(pool.submit(wait_and_read, number))
            assert waiting[number].wait(60)
        wait_long(looks)
        judge.gate.set()
        shown = [future.result(120) for future in told]
    assert [places[0] for places in shown[1:]] == list(range(1, MANY))
    assert all(places == sorted(places, reverse=True) for places in shown)
    for caller in callers:
        caller.close()
