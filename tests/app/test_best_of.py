"""The Best of N tab's handler without a browser: files in, a ranking out."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from fake_judge import FakeJudge
from PIL import Image, ImageDraw

from app import render
from app.best_of import RankView, best_of
from app.compare import Desk
from app.history import Store


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(FakeJudge(), Store(f"sqlite:///{tmp_path / 'history.sqlite3'}"))


def squares(folder: Path, sides: list[int]) -> list[str]:
    """White images with a black square: the larger, the more contrast (up to half the area)."""
    paths = []
    for side in sides:
        image = Image.new("RGB", (100, 100), "white")
        ImageDraw.Draw(image).rectangle((0, 0, side - 1, side - 1), fill="black")
        image.save(folder / f"square{side}.png")
        paths.append(str(folder / f"square{side}.png"))
    return paths


def test_the_ranking_follows_the_judge_and_counts_its_pairs(desk: Desk, tmp_path: Path) -> None:
    views = list(best_of(desk, squares(tmp_path, [30, 60, 10, 45]), "Tile", "tile\n"))
    assert [view.phase for view in views] == ["running", "running", "done"]
    assert views[1].compared == 6  # 4 creatives meet each other
    ranking = views[-1].ranking["ranking"]
    assert [row["image"] for row in ranking] == [
        "square60.png", "square45.png", "square30.png", "square10.png"]
    assert [(row["wins"], row["losses"]) for row in ranking] == [(3, 0), (2, 1), (1, 2), (0, 3)]
    html = render.ranking(views[-1])
    assert "square60.png is most likely to be clicked" in html
    assert html.count("✓ Choice") == 1


def test_files_of_one_name_keep_apart(desk: Desk, tmp_path: Path) -> None:
    paths = []
    for folder, color in (("one", "white"), ("two", "grey")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (40, 40), color).save(tmp_path / folder / "shot.png")
        paths.append(str(tmp_path / folder / "shot.png"))
    view = list(best_of(desk, paths, "Tile", ""))[-1]
    assert {row["image"] for row in view.ranking["ranking"]} == {"shot.png", "shot (2).png"}


def test_every_mistake_is_told_at_once(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no pixels")
    views = list(best_of(desk, [str(tmp_path / "notes.jpg")], "Tile", ""))
    assert [view.phase for view in views] == ["refused"]
    assert views[0].problems[0].startswith("notes.jpg: not an image")
    assert views[0].problems[1] == "Got 1 images to rank; 2 to 64 are allowed."
    assert next(best_of(desk, None, "", "")).phase == "refused"


@pytest.mark.parametrize(("title", "said"), [
    ("runs out of tokens", "the model ran out of tokens before its answer"),
    ("breaks", "Something went wrong inside."),
])
def test_a_failure_is_told(desk: Desk, tmp_path: Path, title: str, said: str) -> None:
    view: RankView = list(best_of(desk, squares(tmp_path, [10, 20]), title, ""))[-1]
    assert view.phase == "failed"
    assert view.message.startswith(said)


def test_a_stopped_tournament_says_so(desk: Desk, tmp_path: Path) -> None:
    stop, judge = Event(), FakeJudge()
    views = best_of(replace(desk, judge=judge), squares(tmp_path, [10, 20]), "held", "", stop)
    assert next(views).phase == "running"
    stop.set()
    assert [view.phase for view in views] == ["stopped"]
    judge.gate.set()


def test_leaving_gives_the_turn_to_the_next(desk: Desk, tmp_path: Path) -> None:
    paths = squares(tmp_path, [10, 20])
    first = best_of(desk, paths, "Tile", "")
    assert next(first).phase == "running"
    first.close()
    assert list(best_of(desk, paths, "Tile", ""))[-1].phase == "done"
