"""What the studies compute, by cases worked out on paper: laws, rates, probes, attribution."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creative4u.errors import InputError
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.studies.click_probe import (
    Impressions,
    ProbeConfig,
    _with_past,
    features,
    probe_auc,
)
from creative4u.moon.studies.exchange_rate import exchange_rate
from creative4u.moon.studies.heatmap import WordDrops, patch_drops, share_on_mask, word_drops
from creative4u.moon.studies.power_law import fit_power_law, hold_out
from creative4u.moon.studies.relevance import (
    RelevanceScore,
    cosines,
    fit_relevance,
    relevance_metrics,
)
from creative4u.moon.studies.relevance_study import true_answers
from creative4u.moon.studies.report import Curve, Plot, write_study


def test_a_power_law_is_found_again_and_predicts_the_point_left_out() -> None:
    size = np.array([1.0, 2, 4, 8, 16, 32])
    loss = 0.5 + 2.0 * size**-0.7
    law = fit_power_law(size, loss, floors=401)
    assert law.exponent == pytest.approx(0.7, abs=0.05)
    assert law.at(64) == pytest.approx(0.5 + 2 * 64**-0.7, abs=0.02)
    pure, told = hold_out(size, 3.0 * size**-0.5)
    assert (pure.floor, pure.scale) == (0.0, pytest.approx(3.0))
    assert pure.exponent == pytest.approx(0.5)
    assert told.size == 32
    assert told.predicted == pytest.approx(3.0 * 32**-0.5)
    assert told.interval[0] <= told.measured + 1e-9
    with pytest.raises(ValueError, match="three points"):
        fit_power_law([1, 2], [1, 2])


def test_the_exchange_rate_is_the_slope_with_students_interval() -> None:
    rate = exchange_rate([0.0, 0.1, 0.2, 0.3], [0.0, 0.01, 0.03, 0.04])
    # x and y centred: sxy = 0.007, sxx = 0.05; residuals 0.001, -0.003, 0.003, -0.001
    assert rate.slope == pytest.approx(0.14)
    error = np.sqrt((2e-6 + 18e-6) / 2 / 0.05)
    assert rate.interval[1] - rate.slope == pytest.approx(4.30265 * error, rel=1e-4)
    with pytest.raises(InputError, match="three checkpoints"):
        exchange_rate([0.1, 0.1, 0.1], [0, 1, 2])


def test_only_clicks_of_earlier_days_are_past() -> None:
    clicks = np.array([1 * 1000 + 2, 1 * 1000 + 5, 1 * 1000 + 5, 2 * 1000 + 1])
    rows = {
        "user_id": np.array([1, 1, 2, 3]), "day": np.array([5, 6, 1, 4]),
        "query_id": np.zeros(4, int), "product_id": np.zeros(4, int),
        "position": np.ones(4, int), "click": np.zeros(4, int),
    }  # fmt: skip
    past = _with_past(rows, clicks, np.array([10, 11, 12, 13]), 2).past
    assert past.tolist() == [[10, -1], [12, 11], [-1, -1], [-1, -1]]


def test_probe_features_by_hand() -> None:
    items = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])
    rows = Impressions(
        np.array([0]), np.array([2]), np.array([3]), np.array([1]), np.array([[0, 1, -1]])
    )
    found = features(rows, np.array([[1.0, 0]]), items, ProbeConfig(dims=2, sharpness=10))[0]
    assert found[:10].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    w = np.exp(10 * np.array([0.6, 0.8]))
    interest = (w * [0.6, 0.8]).sum() / w.sum()
    expected = [0.6, 0.36, 0.8, interest, 0.7, np.log(3), 0, 0.6, 0.8]
    assert found[10:] == pytest.approx(expected)


def test_the_relevance_fit_stands_where_the_gradient_is_zero() -> None:
    x, y = np.array([[0.0], [0], [1], [1]]), np.array([0, 1, 1, 1])
    found = fit_relevance(x, y, ("title",), ridge=0.1)
    p = found.score(x)
    assert (y - p).mean() == pytest.approx(0, abs=1e-6)
    assert ((y - p) * x[:, 0]).mean() == pytest.approx(0.1 * found.weights[0], abs=1e-6)


def test_the_probe_sees_relevance_where_vectors_carry_it() -> None:
    rng = np.random.default_rng(0)
    query, product = rng.integers(0, 4, 4000), rng.integers(0, 4, 4000)
    click = (rng.random(4000) < np.where(query == product, 0.5, 0.1)).astype(int)
    rows = Impressions(query, product, np.ones(4000, int), click, np.full((4000, 1), -1))
    half = [slice(0, 2000), slice(2000, 4000)]
    fit, judge = (
        Impressions(*(getattr(rows, n)[part] for n in ("query", "product", "position", "click",
                                                       "past")))
        for part in half
    )  # fmt: skip
    config = ProbeConfig(dims=2)
    told = probe_auc(fit, judge, np.eye(4), np.eye(4), config)
    blind = probe_auc(fit, judge, np.ones((4, 4)) / 2, np.ones((4, 4)) / 2, config)
    assert told > 0.6
    assert blind == pytest.approx(0.5)


def test_relevance_is_calibrated() -> None:
    rng = np.random.default_rng(1)
    table = rng.uniform(-1, 1, (8000, 2))
    true = RelevanceScore(("title", "both"), (3.0, -2.0), -1.0)
    label = rng.random(8000) < true.score(table)
    found = fit_relevance(table, label, ("title", "both"), ridge=1e-9)
    assert found.weights == pytest.approx((3.0, -2.0), abs=0.2)
    assert found.bias == pytest.approx(-1.0, abs=0.1)
    assert found.score(table).mean() == pytest.approx(label.mean(), abs=1e-6)
    assert relevance_metrics(found.score(table), label, np.zeros(8000))["ECE"] < 0.03
    with pytest.raises(InputError, match="same label"):
        fit_relevance(table, np.ones(8000), ("title", "both"))
    with pytest.raises(InputError, match="cosines"):
        found.score(table[:, :1])
    assert cosines(np.eye(2), np.eye(2), np.eye(2), np.ones((3, 2))[:2]).shape == (2, 2, 3)


def test_what_a_query_names_is_read_off_the_unbiased_rates() -> None:
    def rate(logit: float) -> float:
        return float(1 / (1 + np.exp(-logit)))

    # product 0: creatives 0, 1; query 0 names it (+0.42), query 1 is of its category, query 2 too,
    # and creative 0 meets query 2's intent (+1.25), creative 1 does not
    rows = [(0, 0, 0.42), (1, 0, 1.42), (0, 1, 0.0), (1, 1, 1.0), (0, 2, 1.25), (1, 2, 1.0)]
    creative, query, logit = zip(*rows, strict=True)
    found = true_answers(
        np.array(creative), np.array(query), np.array([rate(one - 4) for one in logit]),
        np.array([0, 0]), (4, 1),
    )  # fmt: skip
    assert found[:, 0].tolist() == [True, False, False, False]


class Letters:
    """A text is how often it says boot and cheap; an image is how red its left and right are."""

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        rows = []
        for one in contents:
            if one.image is None:
                words = (one.text or "").lower().split()
                rows.append([words.count("boot"), words.count("cheap"), 0.1])
            else:
                pixels = np.asarray(one.open_image().convert("RGB"), float)[..., 0] / 255
                half = pixels.shape[1] // 2
                rows.append([pixels[:, :half].mean(), pixels[:, half:].mean(), 0.0])
        return np.array(rows, np.float32)


def test_word_attribution_falls_on_what_names_the_product() -> None:
    item = Item("p", "", name="rain boot", colour="red", brand="Avelo")
    against = Image.new("RGB", (8, 8), (255, 0, 0))
    (found,) = word_drops(Letters(), ["cheap Boot boot sale"], [Content(image=against)], [item])
    assert found.words == ("cheap", "Boot", "boot", "sale")
    assert found.product == (False, True, True, False)
    assert found.drops == pytest.approx((1, 1, 1, 0), abs=1e-6)
    assert found.share == pytest.approx(2 / 3)
    assert np.isnan(WordDrops(("a",), (-1.0,), (True,)).share)


def test_patch_attribution_falls_on_the_patch_that_matters() -> None:
    image = Image.new("RGB", (40, 40), (0, 0, 0))
    image.paste((255, 0, 0), (0, 0, 20, 20))  # upper left: the mean of red is a quarter
    drops = patch_drops(Letters(), image, Content("boot"), grid=2)
    # the patch painted in the mean, 63 of 255: the left half's red falls from 1/2 by 3/8
    assert drops[0, 0] == pytest.approx(0.5 - 63 / 255 / 2, abs=1e-3)
    assert drops[1, 0] == pytest.approx(-63 / 255 / 2, abs=1e-3)
    assert drops[:, 1] == pytest.approx([0, 0], abs=1e-6)
    mask = np.zeros((4, 4))
    mask[:2, :2] = 1
    assert share_on_mask(drops, mask) == 1.0
    assert share_on_mask(drops, 1 - mask) == 0.0


def test_a_study_ends_in_a_table_a_plot_and_its_numbers(tmp_path: Path) -> None:
    rows = [{"size": 10, "loss": 0.5, "interval": [0.4, 0.6]}, {"size": 20, "loss": 0.25}]
    plot = Plot([Curve("seen", [10, 20], [0.5, 0.25], [0.4, 0.2], [0.6, 0.3])], "size", "loss", "x")
    write_study(tmp_path, "law", rows, plot, {"exponent": 1.0})
    said = (tmp_path / "law.md").read_text("utf-8")
    assert "| 10 | 0.500 | 0.400 to 0.600 |" in said
    assert json.loads((tmp_path / "law.json").read_text("utf-8"))["exponent"] == 1.0
    assert Image.open(tmp_path / "law.png").size[0] > 500
