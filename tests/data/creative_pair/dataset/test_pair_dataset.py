"""The written data set opens with `datasets`, says what it holds; the check refuses bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creative4u.files.pairs_file import good_pairs
from creative4u.schema import CreativePair
from data.creative_pair.dataset.card import write_card
from data.creative_pair.dataset.check import check
from data.creative_pair.dataset.parquet import read_packed, write_dataset
from data.creative_pair.facts import Facts, write_facts
from data.creative_pair.reasoning.add_reasoning import Grounded, add_reasoning
from data.creative_pair.rows import write_pairs


def draw(path: Path, seed: int) -> None:
    grid = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(grid).resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=92)


def rows(folder: Path, count: int = 8) -> list[CreativePair]:
    """Pairs of their own product each, label A and B in turn, the last two for the test."""
    made = []
    for number in range(count):
        for side in "ab":
            draw(folder / f"{number}{side}.jpg", 100 * number + ord(side))
        made.append(CreativePair.model_validate({
            "pair_id": str(number), "product_id": f"p{number}", "product_title": "boot",
            "queries": ["boot"], "image_a": f"{number}a.jpg", "image_b": f"{number}b.jpg",
            "label": "AB"[number % 2], "ctr_a": 0.08 - 0.05 * (number % 2),
            "ctr_b": 0.03 + 0.05 * (number % 2), "impressions_a": 2000, "impressions_b": 2000,
            "split": "test" if number >= count - 2 else "train"}))
    return made


def reasoned(folder: Path, pairs: list[CreativePair]) -> list[CreativePair]:
    facts = {}
    for pair in pairs:
        for image, better in ((pair.image_a, pair.label == "A"), (pair.image_b, pair.label == "B")):
            facts[str(image)] = Facts(
                image=str(image), size=0.6, whole=1, text=0, cover=0, clutter=0, dark=0,
                blur=0 if better else 0.8, props=0, frame=0, stand_out=0.5, product="boot",
                shown="boot")
    assert add_reasoning(pairs, Grounded(facts), folder).dropped == {}
    return list(good_pairs(folder))


def test_load_dataset_opens_it_with_decoded_images(tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    datasets = pytest.importorskip("datasets")
    pairs = reasoned(tmp_path, rows(tmp_path))
    assert write_dataset(tmp_path, tmp_path / "set") == {"test": 2, "train": 6}
    write_card(tmp_path / "set", ["drawn by a test"])
    loaded = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"test": 2, "train": 6}
    row = loaded["train"][1]
    assert row["image_a"].size == (64, 64)
    assert row["label"] == row["answers"]["click"] == "B"
    assert row["queries"] == ["boot"]
    assert row["reasoning"] == pairs[1].reasoning
    back = {pair.pair_id: (pair, a) for pair, a, _ in read_packed(tmp_path / "set")}
    assert back["3"][0].answers == pairs[3].answers
    assert back["3"][1] == (tmp_path / "3a.jpg").read_bytes()


def test_the_card_counts(tmp_path: Path) -> None:
    reasoned(tmp_path, rows(tmp_path))
    write_dataset(tmp_path, tmp_path / "set")
    text = write_card(tmp_path / "set", ["drawn by a test"], {"filter": {"min_gap": 0.6}},
                      json.loads((tmp_path / "reasoning.json").read_text())).read_text("utf-8")
    assert "| train | 6 | 6 | 12 | 6 | 0 |" in text
    assert "| test | 1 | 1 | 0.500 |" in text
    assert "| 150% to 200% | 8 |" in text  # 0.08 is 167 % above 0.03
    assert "| subject | A<B 4, A>B 4 |" in text
    assert "- min_gap: 0.6" in text
    with Image.open(tmp_path / "set" / "contact.jpg") as sheet:
        assert sheet.width > 300


def test_a_good_set_passes_as_rows_and_as_parquet(tmp_path: Path) -> None:
    reasoned(tmp_path, rows(tmp_path))
    assert check(tmp_path).problems == []
    write_dataset(tmp_path, tmp_path / "set")
    assert check(tmp_path / "set").pairs == 8
    assert check(tmp_path / "set").ok


def test_a_claim_that_the_facts_do_not_bear_is_refused(tmp_path: Path) -> None:
    good = reasoned(tmp_path, rows(tmp_path))
    write_facts([Facts(
        image=str(image), size=0.6, whole=1, text=0, cover=0, clutter=0, dark=0,
        blur=0 if better else 0.8, props=0, frame=0, stand_out=0.5, product="boot", shown="boot")
        for pair in good for image, better in (
            (pair.image_a, pair.label == "A"), (pair.image_b, pair.label == "B"))], tmp_path)
    assert check(tmp_path).ok
    assert good[0].reasoning
    smiling = good[0].reasoning.replace("subject: A is ", "subject: A smiles and is ")
    assert smiling != good[0].reasoning
    told = good[0].model_copy(update={"reasoning": smiling})
    assert said(tmp_path, [told, *good[1:]]).startswith("pair 0, subject: 'A smiles and is ")


def said(folder: Path, pairs: list[CreativePair]) -> str:
    write_pairs(pairs, folder)
    return "\n".join(check(folder).problems)


def test_leaks_are_refused(tmp_path: Path) -> None:
    good = rows(tmp_path)
    last = good[-1]
    product = last.model_copy(update={"product_id": "p0"})
    assert "product p0 is in the splits test, train" in said(tmp_path, [*good[:-1], product])
    image = last.model_copy(update={"image_a": Path("0a.jpg")})
    assert "0a.jpg is in the splits test, train" in said(tmp_path, [*good[:-1], image])
    with Image.open(tmp_path / "0a.jpg") as picture:
        picture.save(tmp_path / "near.jpg", quality=70)
    near = last.model_copy(update={"image_a": Path("near.jpg")})
    assert "look the same" in said(tmp_path, [*good[:-1], near])
    assert "pair 0 stands 2 times" in said(tmp_path, [*good, good[0]])


def test_an_unbalanced_side_is_refused(tmp_path: Path) -> None:
    good = rows(tmp_path)
    tilted = [pair.model_copy(update={"label": "A"}) for pair in good]
    assert "split 'train': 1.000 of 6 labels are A" in said(tmp_path, tilted)


def test_broken_images_and_contradictions_are_refused(tmp_path: Path) -> None:
    good = reasoned(tmp_path, rows(tmp_path))
    first, answers = good[0], good[0].answers
    assert answers
    for change, expected in (
            ({"label": "B"}, "not the label"),
            ({"answers": answers.model_copy(update={"subject": "A<B"}), "reasoning": None},
             "speak against the choice"),
            ({"answers": answers.model_copy(update={"props": "A<B"})}, "contradict each other"),
            ({"reasoning": "no protocol"}, "does not parse")):
        assert expected in said(tmp_path, [first.model_copy(update=change), *good[1:]])
    (tmp_path / "0a.jpg").write_bytes(b"broken")
    assert "broken image" in said(tmp_path, good)
    assert write_dataset(tmp_path, tmp_path / "set") == {"test": 2, "train": 5}
    rejected = (tmp_path / "set" / "rejects.jsonl").read_text("utf-8")
    assert rejected.count("\n") == 1
    assert "bad image" in rejected
