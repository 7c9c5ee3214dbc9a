"""Comparisons kept, read back, given feedback, forgotten; and exported as CreativePair rows."""

import zipfile
from pathlib import Path

import pytest
from fake_judge import verdict
from PIL import Image
from sqlalchemy import create_engine, text

from app.export import export_zip
from app.history import Store
from creative4u.errors import InputError
from creative4u.images import encode, load_image
from creative4u.schema import CreativePair

RED = encode(Image.new("RGB", (64, 48), "red"))
BLUE = encode(Image.new("RGB", (40, 60), "blue"))
GREEN = encode(Image.new("RGB", (50, 50), "green"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'history.sqlite3'}"


def test_what_is_saved_comes_back_in_another_process_newest_first(url: str) -> None:
    first = Store(url).save("Bag", ("tote", "женская сумка"), {"A": RED, "B": BLUE}, verdict("A"))
    second = Store(url).save("Shoe", (), {"A": RED, "B": GREEN}, verdict("B"))
    again = Store(url)
    assert [one.comparison_id for one in again.latest(10)] == [second, first]
    assert [one.comparison_id for one in again.latest(1, offset=1)] == [first]
    kept = again.get(first)
    assert (kept.title, kept.queries) == ("Bag", ("tote", "женская сумка"))
    assert kept.pictures == {"A": RED, "B": BLUE}
    assert kept.verdict == verdict("A")
    assert kept.feedback is None


def test_feedback_can_be_changed_and_only_four_words_are_taken(url: str) -> None:
    store = Store(url)
    key = store.save("Bag", (), {"A": RED, "B": BLUE}, verdict("A"))
    store.give_feedback(key, "A")
    store.give_feedback(key, "both_bad")
    assert store.get(key).feedback == "both_bad"
    with pytest.raises(InputError, match="A, B, tie, both_bad"):
        store.give_feedback(key, "C")
    with pytest.raises(InputError, match="no comparison"):
        store.give_feedback("nobody", "A")


def test_deleting_forgets_images_that_nobody_else_shows(url: str) -> None:
    store = Store(url)
    first = store.save("Bag", (), {"A": RED, "B": BLUE}, verdict("A"))
    second = store.save("Bag", (), {"A": RED, "B": GREEN}, verdict("A"))
    assert _pictures(url) == 3  # RED is kept once
    store.delete(first)
    assert _pictures(url) == 2
    assert store.get(second).pictures["A"] == RED
    with pytest.raises(InputError, match="no comparison"):
        store.get(first)
    store.delete(first)  # twice is no error
    store.delete(second)
    assert _pictures(url) == 0


def test_the_export_reads_back_as_pairs_with_their_images(url: str, tmp_path: Path) -> None:
    store = Store(url)
    keys = {said: store.save(f"Bag {said}", ("tote",), {"A": RED, "B": BLUE}, verdict("A"))
            for said in ("A", "B", "tie", "both_bad")}
    store.save("no feedback", (), {"A": RED, "B": BLUE}, verdict("A"))
    for said, key in keys.items():
        store.give_feedback(key, said)
    assert export_zip(store, tmp_path / "pairs.zip") == 4
    with zipfile.ZipFile(tmp_path / "pairs.zip") as archive:
        archive.extractall(tmp_path / "pairs")
    lines = (tmp_path / "pairs" / "pairs.jsonl").read_text("utf-8").splitlines()
    pairs = {row.pair_id: row for row in map(CreativePair.model_validate_json, lines)}
    labels = {said: pairs[key].label for said, key in keys.items()}
    assert labels == {"A": "A", "B": "B", "tie": None, "both_bad": None}
    assert pairs[keys["both_bad"]].tags == ("feedback", "both bad")
    agreed, denied = pairs[keys["A"]], pairs[keys["B"]]
    assert agreed.answers == verdict("A").answers
    assert agreed.reasoning == verdict("A").reasoning
    assert denied.answers is None
    assert denied.reasoning is None
    assert load_image(tmp_path / "pairs" / agreed.image_a).size == (64, 48)
    assert load_image(tmp_path / "pairs" / agreed.image_b).size == (40, 60)


def test_the_default_place_follows_creative4u_home(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREATIVE4U_HOME", str(tmp_path / "home"))
    Store().save("Bag", (), {"A": RED, "B": BLUE}, verdict("A"))
    assert (tmp_path / "home" / "history.sqlite3").exists()


def _pictures(url: str) -> int:
    with create_engine(url).connect() as db:
        return int(db.execute(text("select count(*) from pictures")).scalar_one())


@pytest.mark.parametrize("url", ["nonsense", "nosuchdatabase://x", "sqlite:////no/such/folder/x.db"])
def test_a_url_of_no_use_is_one_clear_line(url: str) -> None:
    with pytest.raises(InputError, match=r"^the history cannot be kept there: [^\n]+$"):
        Store(url)


def test_nobody_else_on_the_machine_may_read_the_history(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    file.touch(0o644)  # as one was made before
    Store(f"sqlite:///{file}").save("Bag", (), {"A": RED, "B": BLUE}, verdict("A"))
    fresh = Store(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    fresh.save("Bag", (), {"A": RED, "B": BLUE}, verdict("A"))
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {"0o600"}, modes
