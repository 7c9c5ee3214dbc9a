"""The MOON panel: cosines that can be told in advance, neighbours with pictures, no exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from fake_judge import FakeJudge
from fake_moon import Colours
from PIL import Image

from app.compare import Desk, compare
from app.moon_panel import Moon, load_moon
from app.page import build
from app.store import Store
from creative4u.errors import BackendError
from creative4u.moon.contents import Content
from creative4u.moon.index import IndexConfig
from creative4u.moon.items import Item
from creative4u.moon.shelf import Shelf, open_shelf


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
def shelf(files: dict[str, str], tmp_path: Path) -> Shelf:
    made = Shelf(open_shelf(tmp_path / "none", IndexConfig(dim=3)).index)
    items = [Item(n, f"a {n} thing <b>", images=(Path(file),)) for n, file in files.items()]
    assert made.add(items, Colours()) == 3
    assert made.add(items, Colours()) == 0
    made.save(tmp_path / "shelf")
    return open_shelf(tmp_path / "shelf")


def test_cosines_and_neighbours_are_the_ones_worked_out(
    files: dict[str, str], shelf: Shelf
) -> None:
    moon = Moon(Colours(), shelf)
    red, blue = Image.open(files["red"]), Image.open(files["blue"])
    found = moon.look(red, blue, "red and green shoe")
    assert found.title["A"] == pytest.approx(2**-0.5, abs=1e-6)
    assert (found.title["B"], found.other) == (pytest.approx(0), pytest.approx(0))
    assert found.near["A"][0].card.item_id == "red"
    assert found.near["B"][0].score == pytest.approx(1)


def test_the_panel_shows_them_and_escapes_titles(files: dict[str, str], shelf: Shelf) -> None:
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


def test_it_is_wired_beside_the_comparison_not_after_it(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'h.sqlite3'}")
    moon = Moon(Colours())
    page = build(FakeJudge(), store, moon)
    assert isinstance(page, gr.Blocks)
    ours = [one for one in page.fns.values() if getattr(one.fn, "__name__", "") == "fill"]
    (compare,) = [one for one in page.fns.values() if getattr(one.fn, "__name__", "") == "run"
                  and one.targets and len(one.inputs) == 4]  # fmt: skip
    assert len(ours) == 1
    assert ours[0].targets == compare.targets  # the same press of the same button starts both


def test_likeness_is_there_while_the_judge_is_still_reasoning(
    files: dict[str, str], tmp_path: Path
) -> None:
    judge = FakeJudge()
    desk = Desk(judge, Store(f"sqlite:///{tmp_path / 'h.sqlite3'}"), pace=0.0)
    views = compare(desk, files["red"], files["blue"], "red bag held", "")
    assert next(view for view in views if view.phase == "reasoning").verdict is None
    said = Moon(Colours()).fill(files["red"], files["blue"], "red bag held", "")
    assert "A and the title: <b>1.00</b> (nearer)" in said
    judge.gate.set()
    assert [view.phase for view in views][-1] == "done"


def test_a_broken_catalogue_leaves_the_page_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREATIVE4U_CATALOGUE", str(tmp_path))
    assert load_moon().shelf is None
