"""The MOON panel: cosines that can be told in advance, neighbours with pictures, no exceptions."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from fake_judge import FakeJudge
from fake_moon import Colours
from PIL import Image

from app.history import Store
from app.moon_panel import Moon, load_moon
from app.page import build
from app.visitors.upload_guard import COOKIE
from app.visitors.uploads import VisitorFiles
from creative4u.errors import BackendError
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.index.catalogue_index import CatalogueIndex, open_catalogue
from creative4u.moon.index.faiss_index import IndexConfig


class Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        raise self.error


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name in ("red", "blue", "green"):
        Image.new("RGB", (60, 60), {"green": (0, 255, 0)}.get(name, name)).save(
            tmp_path / f"{name}.png"
        )
    return {name: str(tmp_path / f"{name}.png") for name in ("red", "blue", "green")}


@pytest.fixture
def shelf(files: dict[str, str], tmp_path: Path) -> CatalogueIndex:
    made = CatalogueIndex(open_catalogue(tmp_path / "none", IndexConfig(dim=3)).index)
    items = [Item(n, f"a {n} thing <b>", images=(Path(file),)) for n, file in files.items()]
    assert made.add(items, Colours()) == 3
    assert made.add(items, Colours()) == 0
    made.save(tmp_path / "shelf")
    return open_catalogue(tmp_path / "shelf")


def test_cosines_and_neighbours_are_the_ones_worked_out(
    files: dict[str, str], shelf: CatalogueIndex
) -> None:
    moon = Moon(Colours(), shelf)
    red, blue = Image.open(files["red"]), Image.open(files["blue"])
    found = moon.look(red, blue, "red and green shoe")
    assert found.title["A"] == pytest.approx(2**-0.5, abs=1e-6)
    assert (found.title["B"], found.other) == (pytest.approx(0), pytest.approx(0))
    assert found.near["A"][0].card.item_id == "red"
    assert found.near["B"][0].score == pytest.approx(1)


class Looking:
    """Two numbers of meaning and one of look, which no title has."""

    shared_dim = 2

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        rows = {True: [0.0, 1.0, 0.0], False: [0.48, 0.36, 0.8]}
        return np.array([rows[one.image is None] for one in contents], np.float32)


def test_a_title_is_compared_with_what_images_mean_not_with_their_look(
    files: dict[str, str],
) -> None:
    red, blue = Image.open(files["red"]), Image.open(files["blue"])
    found = Moon(Looking()).look(red, blue, "a shoe")
    assert found.title["A"] == pytest.approx(0.6)  # (0.8, 0.6) against (0, 1)
    assert found.other == pytest.approx(1.0)


def test_the_panel_shows_them_and_escapes_titles(
    files: dict[str, str], shelf: CatalogueIndex
) -> None:
    said = Moon(Colours(), shelf).fill(files["red"], files["blue"], "red shoe", "")
    assert "A and the title: <b>1.00</b> (nearer)" in said
    assert "a blue thing &lt;b&gt;" in said
    assert said.count("data:image/jpeg") == 6
    Path(files["green"]).unlink()
    again = Moon(Colours(), shelf).fill(files["red"], files["blue"], "red shoe", "")
    assert again.count("data:image/jpeg") == 4
    assert "creative4u moon index" in Moon(Colours()).fill(
        files["red"], files["blue"], "red shoe", ""
    )


def test_a_refused_upload_and_a_failure_never_raise(files: dict[str, str]) -> None:
    assert Moon(Colours()).fill(None, files["red"], "red", "") == ""
    known = Moon(Broken(BackendError("no weights"))).fill(files["red"], files["blue"], "red", "")
    assert "no weights" in known
    other = Moon(Broken(RuntimeError("secret"))).fill(files["red"], files["blue"], "red", "")
    assert "secret" not in other


class Slow(Colours):
    """Looks only when it is let."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        assert self.gate.wait(60)
        return super().encode(contents)


def pressed(page: gr.Blocks, *given: str) -> Iterator[dict[str, Any]]:
    """What a press on Compare sends, update by update, by the elements' ids."""
    title, queries = given[2:]
    sent = [{"path": path} for path in given[:2]]
    (press,) = [one for one in page.fns.values() if getattr(one.fn, "__name__", "") == "run"
                and one.targets and len(one.inputs) == 4]  # fmt: skip
    visitor = gr.Request(session_hash="one", cookies={COOKIE: "one"})
    for updates in press.fn(*sent, title, queries, visitor):
        yield {getattr(part, "elem_id", None) or str(part._id): said
               for part, said in updates.items()}  # fmt: skip


def test_likeness_is_there_while_the_judge_is_still_reasoning(
    files: dict[str, str], tmp_path: Path, uploads: VisitorFiles
) -> None:
    judge = FakeJudge()
    page = build(judge, Store(f"sqlite:///{tmp_path / 'h.sqlite3'}"), uploads, Moon(Colours()))
    updates = pressed(page, files["red"], files["blue"], "red bag held", "")
    assert next(updates)["compare-moon"] == ""  # nothing of an earlier pair is left standing
    filled = next(some["compare-moon"] for some in updates if "compare-moon" in some)
    assert "A and the title: <b>1.00</b> (nearer)" in filled
    assert not judge.gate.is_set()  # the reasoning is held half-way and goes on only now
    judge.gate.set()
    rest = list(updates)
    assert not any("compare-moon" in some for some in rest)
    assert any("compare-outcome" in some for some in rest)


def test_a_slow_look_still_comes_before_the_choice(
    files: dict[str, str], tmp_path: Path, uploads: VisitorFiles
) -> None:
    slow = Slow()
    page = build(FakeJudge(), Store(f"sqlite:///{tmp_path / 'h.sqlite3'}"), uploads, Moon(slow))
    threading.Timer(0.3, slow.gate.set).start()
    updates = list(pressed(page, files["red"], files["blue"], "red bag", ""))
    filled = [place for place, some in enumerate(updates) if some.get("compare-moon")]
    assert filled == [len(updates) - 2]  # right before the last update, which brings the choice


def test_a_refused_press_shows_no_likeness(
    files: dict[str, str], tmp_path: Path, uploads: VisitorFiles
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'h.sqlite3'}")
    page = build(FakeJudge(), store, uploads, Moon(Colours()))
    updates = list(pressed(page, files["red"], files["blue"], "", ""))
    assert not any(some.get("compare-moon") for some in updates)


def test_a_broken_catalogue_leaves_the_page_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREATIVE4U_CATALOGUE", str(tmp_path))
    assert load_moon().shelf is None
