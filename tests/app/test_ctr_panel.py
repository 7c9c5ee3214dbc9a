"""The CTR panel: readings told in advance, a warning where the judge chose otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_judge import FakeJudge, verdict
from PIL import Image

from app.ctr_panel import Ctr, drawn, leaning, warning
from app.history import Store
from app.page import build
from app.visitors.uploads import VisitorFiles
from creative4u.ctr.cold_start.scorer import Reading
from creative4u.errors import BackendError
from creative4u.images import encode

PALE, DARK = (encode(Image.new("RGB", (60, 60), colour)) for colour in ("#eeeeee", "#202020"))


def readings(a: float, b: float, raw: float | None = None) -> dict:
    return {"A": Reading(a, a / 2, a * 2, raw), "B": Reading(b, b / 2, b * 2, raw)}


class Brightness:
    """A creative's pCTR is a tenth of its brightness."""

    def read(
        self, images: Sequence[Image.Image], title: str, queries: Sequence[str] = ()
    ) -> list[Reading]:
        rates = [image.convert("L").getpixel((0, 0)) / 2550 for image in images]
        return [Reading(p, p / 2, p * 2, p + 0.01) for p in rates]


class Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, images: Sequence[Image.Image], title: str, queries: object = ()) -> list:
        raise self.error


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'h.sqlite3'}")


def test_close_pctrs_lean_to_neither_side() -> None:
    assert leaning(readings(0.050, 0.054)) is None
    assert leaning(readings(0.050, 0.056)) == "B"
    assert leaning(readings(0.060, 0.050)) == "A"


def test_the_warning_stands_only_where_they_disagree() -> None:
    assert warning(readings(0.06, 0.04), verdict("A")) == ""
    assert warning(readings(0.041, 0.04), verdict("B")) == ""  # too close to disagree
    said = warning(readings(0.06, 0.04), verdict("B"))
    assert said.startswith("They disagree: the judge chose B, the CTR model expects 50% more")
    tie = verdict("A").model_copy(update={"choice": "tie"})
    assert "sees no difference" in warning(readings(0.04, 0.06), tie)
    open_ = verdict("A").model_copy(update={"choice": "inconclusive"})
    assert "could not decide" in warning(readings(0.04, 0.06), open_)


def test_the_panel_shows_both_with_interval_debiased_beside_raw() -> None:
    said = drawn(readings(0.06, 0.04, raw=0.071), verdict("B"))
    for part in ("<b>6.0%</b>", "3.0% to 12.0%", "<b>4.0%</b>", "2.0% to 8.0%", "7.1%"):
        assert part in said
    assert 'role="alert"' in said
    quiet = drawn(readings(0.06, 0.06), verdict("B"))
    assert "too close" in quiet
    assert 'role="alert"' not in quiet
    assert "Before debiasing" not in quiet


def test_a_kept_comparison_is_read_from_its_pictures(store: Store) -> None:
    key = store.save("A bag", ("bag",), {"A": PALE, "B": DARK}, verdict("B"))
    said = Ctr(Brightness()).fill(store, key)
    assert "<b>9.3%</b>" in said  # 238 / 2550
    assert "the judge chose B" in said
    assert Ctr(Brightness()).fill(store, None) == ""
    assert Ctr(Brightness()).fill(store, "gone") == ""


def test_a_failure_is_told_and_never_raises(store: Store) -> None:
    key = store.save("A bag", (), {"A": PALE, "B": DARK}, verdict("B"))
    assert "no weights" in Ctr(Broken(BackendError("no weights"))).fill(store, key)
    assert "secret" not in Ctr(Broken(RuntimeError("secret"))).fill(store, key)


def test_it_follows_every_comparison_shown(store: Store, uploads: VisitorFiles) -> None:
    page = build(FakeJudge(), store, uploads, ctr=Ctr(Brightness()))
    wired = [one for one in page.fns.values() if getattr(one.fn, "__name__", "") == "clicks"]
    assert [one.targets[0][1] for one in wired] == ["change", "change"]  # Compare and History
