"""Requests made by hand against a running page: what is not yours, not an upload, not small."""

import json
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest
from caller import API, Caller, sent
from fake_judge import FakeJudge
from PIL import Image

from app import compare as module
from app.history import Store
from app.page import start
from app.visitors.uploads import VisitorFiles
from creative4u.images import load_image

CHOSEN = "Creative A is more likely to be clicked"


@pytest.fixture(scope="module")
def judge() -> FakeJudge:
    return FakeJudge()


@pytest.fixture(scope="module")
def address(judge: FakeJudge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    files = VisitorFiles(home / "uploads")
    served = start(judge, Store(f"sqlite:///{home / 'history.sqlite3'}"), files)
    yield served.local_url
    served.close(verbose=False)
    files.close()


@pytest.fixture
def visitor(address: str) -> Iterator[Caller]:
    caller = Caller(address)
    yield caller
    caller.close()


@pytest.fixture
def stranger(address: str) -> Iterator[Caller]:
    caller = Caller(address)
    yield caller
    caller.close()


def picture(side: int = 60, kind: str = "PNG") -> bytes:
    """A black square: of 7,000 pixels a side in 48 KB."""
    data = BytesIO()
    Image.new("L", (side, side)).save(data, kind)
    return data.getvalue()


@pytest.fixture
def foreign(visitor: Caller, stranger: Caller, tmp_path: Path) -> list[str]:
    """Paths that are not the visitor's: there and not there, of all kinds."""
    (tmp_path / "secret.png").write_bytes(picture())
    other, = stranger.upload(("other.png", picture()))
    mine, = visitor.upload(("mine.png", picture()))
    up = "/".join([".."] * 20)
    return [str(tmp_path / "secret.png"), str(tmp_path / "missing.png"), str(tmp_path),
            "/proc/self/environ", "/no/such/folder/x.png", other, f"{other}.png",
            f"{mine}/{up}{tmp_path}/secret.png", str(Path(mine).parents[2]), "secret.png", "",
            f"file://{tmp_path}/secret.png"]


PLACES = {  # element, event and data with a hole for the path
    "image A": ("compare", "click", lambda x: [x, None, "Bag", ""]),
    "image B": ("compare", "click", lambda x: [None, x, "Bag", ""]),
    "title": ("compare", "click", lambda x: [None, None, x, ""]),
    "queries": ("compare", "click", lambda x: [None, None, "Bag", x]),
    "look": ("image-a", "upload", lambda x: [x]),
    "files": ("best-go", "click", lambda x: [[x], "Bag", ""]),
    "files' look": ("best-files", "change", lambda x: [[x]]),
    "files' title": ("best-go", "click", lambda x: [[], x, ""]),
    "list in a title": ("compare", "click", lambda x: [None, None, [[{"a": x}]], ""]),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_path_that_is_not_yours_is_refused_alike_wherever_it_stands(
        visitor: Caller, foreign: list[str], place: str) -> None:
    """Also without `meta`, which Gradio does not look at then."""
    element, kind, data = PLACES[place]
    answers = set()
    for path in foreign:
        for payload in (sent(path), {"path": path}, sent(path, url="http://127.0.0.1/a.png"),
                        {"path": path, "meta": None}):
            answer = visitor.join(element, kind, data(payload))
            answers.add((answer.status_code, answer.text))
    assert answers == {(403, "Not your file.")}


@pytest.mark.parametrize("route", ["queue/join", "run/predict", "run/run"])
def test_other_fields_of_a_request_are_no_way_in(
        visitor: Caller, foreign: list[str], route: str) -> None:
    body = {"data": [], "fn_index": visitor.event("history", "click"), "session_hash": "a"}
    for more in ({"event_data": {"path": foreign[0]}}, {"event_data": {"id": {"path": foreign[1]}}},
                 {"data": [{"path": foreign[0]}]}):
        answer = visitor.http.post(f"{API}/{route}", json={**body, **more})
        assert (answer.status_code, answer.text) == (403, "Not your file.")


@pytest.mark.parametrize("route", ["call/run", "call/v2/run", "api/run", "component_server",
                                   "stream/x", "process_recording", "vibe-edit"])
def test_routes_that_the_page_does_not_need_are_closed(
        visitor: Caller, foreign: list[str], route: str) -> None:
    for path in foreign[:2]:
        answer = visitor.http.post(f"{API}/{route}", json={"data": [{"path": path}]})
        assert (answer.status_code, answer.text) == (404, "Not here.")


def test_nothing_is_fetched(visitor: Caller) -> None:
    """An address as a path, in every place and by every route to a file."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        there = f"http://127.0.0.1:{trap.getsockname()[1]}/a.png"
        for element, kind, data in PLACES.values():
            for payload in (sent(there), {"path": there}, sent(there, url=there)):
                assert visitor.join(element, kind, data(payload)).status_code == 403
        for payload in ({"url": there}, sent(visitor.upload(("a.png", picture()))[0], url=there)):
            visitor.ask("image-a", "upload", [payload])
        for route in (f"file={there}", f"file={quote(there, safe='')}", f"proxy={there}",
                      f"file/{there}"):
            assert visitor.http.get(f"{API}/{route}").status_code in (403, 404)
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_an_upload_of_ones_own_is_judged_and_served(visitor: Caller) -> None:
    a, b = visitor.upload(("a.png", picture(90)), ("b.jpg", picture(80, "JPEG")))
    visitor.compare(a, b, "Leather bag").raise_for_status()
    assert CHOSEN in json.dumps(list(visitor.follow()))
    answer = visitor.http.get(f"{API}/file={a}")
    assert (answer.status_code, answer.content) == (200, picture(90))
    assert answer.headers["content-type"] == "image/png"


def test_an_upload_stays_with_its_visitor_whatever_comes_after_it(
        visitor: Caller, stranger: Caller) -> None:
    """Not until a list of owners overflows: where it lies says whose it is."""
    mine, = visitor.upload(("a.png", b"mine"))
    for _ in range(20):
        stranger.upload(*[(f"{number}.png", b"x") for number in range(50)])
    assert stranger.http.get(f"{API}/file={mine}").status_code == 403
    assert visitor.http.get(f"{API}/file={mine}").content == b"mine"


def test_no_spelling_of_anothers_path_is_served(
        visitor: Caller, stranger: Caller, tmp_path: Path) -> None:
    named = visitor.upload(("%41.png", b"1"), ("A.png", b"2"), ("%2e%2e.png", b"3"))
    (tmp_path / "secret.png").write_bytes(b"4")
    for path in (*named, str(tmp_path / "secret.png"), "/etc/passwd", "/no/such/file"):
        spelled = [path, quote(path, safe=""), quote(quote(path, safe=""), safe=""),
                   path.replace("A", "%41"), path.replace("A", "%2541"), path.replace("/", "//"),
                   f"{path}%00", f"{path}/", f"/{path}", f"/proc/self/root{path}"]
        for one in spelled:
            answer = stranger.http.get(f"{API}/file={one}")
            assert (answer.status_code, answer.text) == (403, "Not your file."), one
            assert stranger.http.head(f"{API}/file={one}").status_code == 403
    assert visitor.http.get(f"{API}/file={quote(named[0])}").content == b"1"


def test_a_page_that_is_no_picture_is_only_downloaded(visitor: Caller) -> None:
    path, = visitor.upload(("a.html", b"<script>alert(1)</script>"))
    headers = visitor.http.get(f"{API}/file={path}").headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> "Decoded":
    counted = Decoded()
    monkeypatch.setattr(module, "load_image", counted.load)
    return counted


class Decoded:
    """Counts the images that the page decodes, and those that are still held."""

    def __init__(self) -> None:
        self.count = self.at_once = self.most_at_once = 0
        self.sides: set[int | None] = set()
        self._images: list[weakref.ref[Image.Image]] = []
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """How many of the images are still there."""
        return sum(image() is not None for image in self._images)

    def load(self, source: Path, name: str, fit: int | None = None) -> Image.Image:
        with self._lock:
            self.count, self.at_once = self.count + 1, self.at_once + 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        image = load_image(source, name, fit)
        with self._lock:
            self.at_once -= 1
            self.sides.add(fit)
            self._images.append(weakref.ref(image))
        return image


def test_what_waits_holds_no_pixels(
        address: str, visitor: Caller, judge: FakeJudge, decoded: Decoded) -> None:
    """Six comparisons and a tournament of twenty pictures, while another pair is judged."""
    judge.gate.clear()
    first = Caller(address)
    first.compare(*first.upload(("a.png", picture()), ("b.png", picture())), "held")
    running = first.follow()
    next(said for said in running if "question by question" in json.dumps(said))
    waiting = [Caller(address) for _ in range(7)]
    one = picture(400)
    for caller in waiting[:6]:
        paths = caller.upload(("a.png", one), ("b.png", one))
        caller.compare(*paths, "Bag").raise_for_status()
    paths = waiting[6].upload(*[(f"{number}.png", one) for number in range(20)])
    waiting[6].join("best-go", "click", [[sent(path) for path in paths], "Bag", ""])
    follows = [caller.follow() for caller in waiting]
    for follow in follows:
        next(said for said in follow if "Waiting: " in json.dumps(said))
    assert decoded.count == 2 * 2 + 6 * 2 + 20
    assert decoded.held == 2  # the pair that is being judged
    judge.gate.set()
    for follow in (running, *follows):
        *_, last = follow
        assert last["success"], last
    assert decoded.most_at_once == 1
    assert decoded.sides == {900, 1600, 2048}
    until = time.monotonic() + 60
    while decoded.held and time.monotonic() < until:
        time.sleep(0.01)  # the last generator is closed after its last word
    assert decoded.held == 0
    for caller in (first, *waiting):
        caller.close()


def test_too_many_and_wrong_ones_are_told_before_anything_is_decoded(
        visitor: Caller, decoded: Decoded) -> None:
    paths = [path for _ in range(2) for path in visitor.upload(
        *[(f"{number}.png", picture()) for number in range(33)])]
    many = [sent(path) for path in paths]
    assert "2 to 64 are allowed" in visitor.ask("best-go", "click", [many, "Bag", ""])
    visitor.ask("best-files", "change", [many])
    broken, = visitor.upload(("a.webp", picture(4100, "WEBP")))
    said = visitor.ask("compare", "click", [sent(broken), many[0], "Bag", ""])
    assert "at most 16,000,000 pixels" in said
    assert decoded.count == 0


def test_the_worst_picture_that_is_allowed_is_judged(visitor: Caller) -> None:
    paths = visitor.upload(("a.png", picture(7000)), ("b.png", picture()))
    visitor.compare(*paths, "Bag").raise_for_status()
    assert CHOSEN in json.dumps(list(visitor.follow()))
