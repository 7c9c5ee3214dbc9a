"""The scorer of new creatives: counted figures and position factors by hand, and what it learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creative4u.backbone.appearance import (
    MEASURES,
    Appearance,
    augment,
    cached_appearance,
    measure,
    pool,
)
from creative4u.ctr.cold_start import fit as teaching
from creative4u.ctr.cold_start import scorer as scoring
from creative4u.ctr.cold_start.model import NewcomerConfig, fit_newcomer, target_logits
from creative4u.ctr.cold_start.scorer import Scorer, load_scorer
from creative4u.ctr.log.grouped_auc import auc_by_group, auc_of_counts, gauc_of_counts, mean_auc
from creative4u.ctr.log.position_bias import position_factors
from creative4u.ctr.log.shop import Cells
from creative4u.ctr.model.calibration import Calibrator
from creative4u.errors import InputError
from creative4u.metrics import auc, gauc


def test_counted_auc_equals_auc_of_the_rows() -> None:
    score, clicked, passed = [0.3, 0.1, 0.3, 0.2], [2, 1, 0, 3], [1, 4, 2, 2]
    rows = [(s, y) for s, k, n in zip(score, clicked, passed, strict=True)
            for y in [1] * k + [0] * n]  # fmt: skip
    s, y = zip(*rows, strict=True)
    assert auc_of_counts(score, clicked, passed) == pytest.approx(auc(s, y))
    group = [0, 0, 1, 1]
    of_row = [g for g, k, n in zip(group, clicked, passed, strict=True) for _ in range(k + n)]
    assert gauc_of_counts(score, clicked, passed, group) == pytest.approx(gauc(s, y, of_row))


def test_auc_of_all_groups_at_once_equals_one_at_a_time() -> None:
    rng = np.random.default_rng(3)
    score, label = rng.integers(6, size=300) / 5, rng.integers(2, size=300)  # many ties
    group = rng.integers(40, size=300)
    each, size = auc_by_group(score, label, group)
    for place, name in enumerate(np.unique(group)):
        rows = group == name
        assert each[place] == pytest.approx(auc(score[rows], label[rows]), nan_ok=True)
        assert size[place] == rows.sum()
    assert mean_auc(score, label, group) == pytest.approx(gauc(score, label, group))
    assert np.isnan(mean_auc([], [], []))
    assert np.isnan(mean_auc([0.1, 0.2], [1, 1], [0, 0]))


def test_expected_clicks_by_hand() -> None:
    # CTRs 0.8 and 0.2, ranked right: (0.8 * (0.8 + 0.2 / 2) + 0.2 * 0.8 / 2) / (1.0 * 1.0)
    assert auc_of_counts([2, 1], [0.8, 0.2], [0.2, 0.8]) == pytest.approx(0.8)
    assert np.isnan(auc_of_counts([2, 1], [0, 0], [1, 1]))


def test_position_factors_of_a_log_that_obeys_the_model() -> None:
    # creative 0 (CTR 0.2) and 1 (0.1), position 2 looked at half as much as position 1
    creative, position = np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2])
    shown, clicks = np.array([100, 100, 1000, 1000]), np.array([20, 10, 100, 50])
    look = position_factors(Cells(creative, creative, position, shown, clicks))
    assert look[1:] == pytest.approx([4 / 3, 2 / 3])  # their mean over impressions is 1


def images_of(weights: np.ndarray, products: int, each: int) -> tuple[Appearance, np.ndarray]:
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(products * each, 5, 384)).astype(np.float32)
    measured = rng.normal(size=(products * each, len(MEASURES))).astype(np.float32)
    return Appearance(pooled, measured), measured @ weights


def test_the_newcomer_model_finds_what_drives_clicks_within_products() -> None:
    seen, effect = images_of(np.eye(len(MEASURES))[0], 60, 6)
    products = np.repeat(np.arange(60), 6)
    words = np.zeros((360, 4), np.float32)
    words[:, 0] = np.repeat(np.linspace(-1, 1, 60), 6)  # the product's level stands in the words
    rate = 1 / (1 + np.exp(2 - effect - words[:, 0]))
    shown = np.full(360, 20_000.0)
    config = NewcomerConfig(image_ridge=1.0, level_ridge=0.01)
    train = np.arange(300)
    model = fit_newcomer(
        seen.take(train), words[train], (rate * shown)[train], shown[train], products[train], config
    )
    test = np.arange(300, 360)
    found = model.logit(seen.take(test), words[test])
    within = found - np.repeat(found.reshape(10, 6).mean(1), 6)
    wanted = effect[test] - np.repeat(effect[test].reshape(10, 6).mean(1), 6)
    assert np.corrcoef(within, wanted)[0, 1] > 0.8


def test_target_logits_are_smoothed() -> None:
    assert target_logits(np.array([0.0]), np.array([0.0]))[0] == pytest.approx(
        np.log(2.0402 / 54.0625)
    )


def test_products_that_cannot_be_compared_are_refused() -> None:
    seen, _ = images_of(np.zeros(len(MEASURES)), 3, 1)
    with pytest.raises(InputError, match="two creatives"):
        fit_newcomer(seen, np.zeros((3, 2)), np.ones(3), np.ones(3) * 9, np.arange(3),
                     NewcomerConfig())  # fmt: skip


def test_products_are_divided_whole() -> None:
    products = np.repeat(np.arange(10), 3)
    shown = np.ones(30)
    shown[0] = 0
    parts = teaching.divide(products, shown, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(1, 30))
    owned = [set(products[part].tolist()) for part in parts]
    assert [len(one) for one in owned] == [6, 2, 2]
    assert not owned[0] & owned[1]
    assert not owned[0] & owned[2]


def test_pooling_by_hand() -> None:
    tokens = np.zeros((1, 257, 384), np.float32)
    tokens[0, 0] = 7  # CLS
    tokens[0, 1] = 3  # the first patch, the only salient one
    tokens[0, 2:] = 1
    maps = np.zeros((1, 224, 224), np.float32)
    maps[0, :14, :14] = 1
    cls, mean, largest, subject, background = pool(tokens, maps)[0, :, 0]
    assert (cls, largest, subject, background) == (7, 3, 3, 1)
    assert mean == pytest.approx((3 + 255) / 256)


def test_measures_by_hand() -> None:
    # the upper left quarter of a flat grey picture, twice as wide as high
    saliency_map = np.zeros((224, 224), np.float32)
    saliency_map[:112, :112] = 1
    found = dict(zip(MEASURES, measure(Image.new("RGB", (80, 40), "grey"), saliency_map),
                     strict=True))  # fmt: skip
    assert found["area"] == 0.25
    assert found["across"] == pytest.approx(-0.25)
    assert found["down"] == pytest.approx(-0.25)
    assert found["inside"] == 1
    assert found["contrast"] == found["sharpness"] == 0
    assert found["shape"] == pytest.approx(np.log(2))


def test_augmenting_is_drawn_from_the_seed() -> None:
    image = Image.effect_noise((64, 48), 80).convert("RGB")
    one, same, other = augment(image, 1), augment(image, 1), augment(image, 2)
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()
    assert one.width >= 0.8 * 64 - 1


def test_the_appearance_cache_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def look(images: list[Image.Image], half: bool = False) -> Appearance:
        looked.extend(image.width for image in images)
        widths = np.array([image.width for image in images], np.float32)
        return Appearance(np.tile(widths[:, None, None] / 7, (1, 5, 384)),
                          np.tile(widths[:, None], (1, len(MEASURES))))  # fmt: skip

    monkeypatch.setattr("creative4u.backbone.appearance.appearance", look)
    paths = []
    for width in range(30, 42):
        paths.append(tmp_path / f"{width}.png")
        Image.new("RGB", (width, 30)).save(paths[-1])
    cached_appearance(paths[:8], tmp_path / "cache.npz")
    found = cached_appearance(paths, tmp_path / "cache.npz")
    assert looked == list(range(30, 42))
    assert found.measured[:, 0].tolist() == list(range(30, 42))
    again = cached_appearance(paths, tmp_path / "cache.npz")
    assert (again.pooled == found.pooled).all()


@pytest.fixture
def drawn_scorer(monkeypatch: pytest.MonkeyPatch) -> Scorer:
    """A scorer that goes by the image's first measure alone; nothing is looked at for real."""
    seen, _ = images_of(np.eye(len(MEASURES))[0], 4, 3)
    model = fit_newcomer(
        seen, np.zeros((12, 384)), np.full(12, 20.0), np.full(12, 400.0),
        np.repeat(np.arange(4), 3), NewcomerConfig(),
    )  # fmt: skip
    weight = np.zeros_like(model.weight)
    weight[5 * 384] = 1
    model = replace(model, weight=weight, mean=weight * 0, deviation=weight * 0 + 1)
    monkeypatch.setattr(scoring, "sentence_vectors", lambda texts: np.zeros((len(texts), 384)))
    monkeypatch.setattr(scoring, "appearance", lambda images: seen.take(np.arange(len(images))))
    return Scorer(model, Calibrator((0.0, 1.0), (0.0, 1.0), 50.0))


def test_scores_are_probabilities_within_their_intervals(drawn_scorer: Scorer) -> None:
    found = drawn_scorer.score([Image.new("RGB", (30, 30))] * 3, "a thing", ["thing"])
    assert all(0 < low <= p <= high < 1 for p, low, high in found)
    assert drawn_scorer.score([], "a thing") == []
    with pytest.raises(InputError, match="title is empty"):
        drawn_scorer.score([Image.new("RGB", (30, 30))], " ")


def test_a_scorer_is_saved_and_loaded(drawn_scorer: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "one.safetensors"
    drawn_scorer.save(path, {})
    pictures = [Image.new("RGB", (30, 30))] * 3
    again = load_scorer(path).score(pictures, "a thing")
    assert np.allclose(again, drawn_scorer.score(pictures, "a thing"), atol=1e-6)
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no scorer's weights"):
        load_scorer(tmp_path / "other.safetensors")
