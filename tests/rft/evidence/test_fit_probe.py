"""The probe: it recovers a linear fact, says nothing of unknown ones, and loads as it was saved."""

import json
from pathlib import Path

import numpy as np
import pytest

from creative4u.errors import InputError
from creative4u.selector.evidence.linear_probe import Probe, load_probe, pooled
from creative4u.selector.evidence.properties import NAMES
from rft.evidence import fit_probe as probes
from rft.evidence.fit_probe import Pool, creatives, figures, fit


def test_pooling_keeps_cls_mean_and_deviation() -> None:
    tokens = np.array([[[1.0, 2.0], [0.0, 4.0], [2.0, 4.0]]], np.float32)  # CLS and two patches
    assert pooled(tokens).tolist() == [[1.0, 2.0, 1.0, 4.0, 1.0, 0.0]]


def test_a_linear_fact_is_recovered_from_the_rows_that_know_it() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 6))
    facts = np.full((400, len(NAMES)), np.nan)
    line = np.linspace(-0.1, 0.1, 6)
    for column in range(len(NAMES)):
        known = rng.random(400) < 0.8
        facts[known, column] = (0.5 + features @ line)[known]
    probe = fit(features, facts)
    told = probe.facts(features.astype(np.float32))
    true = np.clip(0.5 + features @ line, 0, 1)
    assert told == pytest.approx(true[:, None].repeat(len(NAMES), 1), abs=0.02)


def test_figures_by_hand() -> None:
    facts = np.full((4, len(NAMES)), np.nan)
    facts[:, 0] = [0.0, 0.05, 0.5, 0.9]
    told = np.repeat([[0.1], [0.2], [0.3], [0.4]], len(NAMES), 1)
    told[:, 0] = [0.3, 0.1, 0.2, 0.4]
    facts[:3, 1:] = [[0.1], [0.5], [0.3]]
    row = figures(told, facts)["size"]
    assert row["n"] == 4
    # of the 2 x 2 couples of absent and present only (0.0 at 0.3, 0.5 at 0.2) stand wrong
    assert row["auc"] == pytest.approx(3 / 4)
    assert row["spearman"] == pytest.approx(0.4)  # ranks 3 1 2 4: 1 - 6 * (4 + 1 + 1) / 60


def test_saved_is_loaded(tmp_path: Path) -> None:
    probe = Probe(np.ones((10, 6), np.float32), np.full(10, -0.5, np.float32))
    probe.save(tmp_path)
    tokens = np.full((1, 3, 2), 0.25, np.float32)  # pooled: 0.25 four times and two zeros
    assert load_probe(tmp_path).degrees(tokens)[0] == dict.fromkeys(NAMES, pytest.approx(4.5))
    with pytest.raises(InputError, match="creative4u rft probe"):
        load_probe(tmp_path / "none")


def test_creatives_are_those_of_training_pairs(tmp_path: Path) -> None:
    facts = {name: level / 10 for level, name in enumerate(NAMES)}
    (tmp_path / "facts.jsonl").write_text("".join(
        json.dumps({"image": image, **facts, "product": "boot", "shown": "boot"}) + "\n"
        for image in ("a.png", "b.png", "c.png")))
    rows = [("a", "b", "train"), ("b", "c", "test"), ("b", "unknown", "train")]
    (tmp_path / "pairs.jsonl").write_text("".join(
        json.dumps({"pair_id": str(number), "product_title": "Boot", "image_a": f"{a}.png",
                    "image_b": f"{b}.png", "label": "A", "split": split}) + "\n"
        for number, (a, b, split) in enumerate(rows)))
    assert creatives(tmp_path / "pairs.jsonl") == [
        (tmp_path / "a.png", facts), (tmp_path / "b.png", facts)]


def test_an_image_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(images: list[str]) -> tuple[np.ndarray, None]:
        looked.extend(images)
        return np.array([np.full((3, 2), len(image), np.float32) for image in images]), None

    monkeypatch.setattr(probes, "load_image", lambda path: path.name)
    monkeypatch.setattr(probes, "look", look)
    a, bcd, ef = (tmp_path / name for name in ("a", "bcd", "ef"))
    for path in (a, bcd, ef):
        path.write_text(path.name)
    cache = tmp_path / "pool.npz"
    first = Pool(cache).features([a, bcd, a])
    assert first[:, 0].tolist() == [1, 3, 1]
    assert Pool(cache).features([bcd, ef])[:, 0].tolist() == [3, 2]
    assert looked == ["a", "bcd", "ef"]
    ef.write_text("another image under the same name")
    Pool(cache).features([a, ef])
    assert looked == ["a", "bcd", "ef", "ef"]
    cache.write_bytes(b"cut off")
    assert Pool(cache).features([a])[:, 0].tolist() == [1]
