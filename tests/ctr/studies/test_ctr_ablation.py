"""The ladder and the A/B test from end to end, on the small shop whose rates are known."""

from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_shop import EACH, PRODUCTS, QUERIES, write_shop

from creative4u.backbone.appearance import MEASURES, Appearance
from creative4u.ctr.cold_start.fit import Lesson
from creative4u.ctr.cold_start.model import NewcomerConfig, fit_newcomer
from creative4u.ctr.cold_start.scorer import Scorer
from creative4u.ctr.log.fields import read_fields
from creative4u.ctr.log.shop import Shop, count_cells, read_shop
from creative4u.ctr.model.calibration import Calibrator
from creative4u.ctr.model.fit import FitConfig
from creative4u.ctr.model.train import TrainConfig
from creative4u.ctr.policies.ab_test import Rates, TrialConfig, ab_test
from creative4u.ctr.policies.judge_pairs import pairs_to_judge, ring, taught_products
from creative4u.ctr.studies.ablation import (
    Rung,
    StudyConfig,
    Unbiased,
    hidden_creatives,
    mean_of,
    show,
    study,
)
from creative4u.ctr.visual.embeddings import Embeddings
from creative4u.ctr.visual.encoder import VisualConfig
from creative4u.ctr.visual.ladder import standardised, visual_ladder
from creative4u.errors import InputError

COUNT = PRODUCTS * EACH
CTR = 0.1 + 0.2 * (np.arange(COUNT) % EACH)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return read_shop(write_shop(tmp_path_factory.mktemp("shop")))


def truth() -> Unbiased:
    creative = np.repeat(np.arange(COUNT), QUERIES)
    return Unbiased(creative, np.tile(np.arange(QUERIES), COUNT), creative // EACH, CTR[creative])


def test_the_ladder_rises_where_images_tell_and_goes_on(shop: Shop, tmp_path: Path) -> None:
    training = TrainConfig(
        train_days=(0, 3), valid_days=(3, 4), batch=128, epochs=2, learning_rate=1e-2
    )
    config = StudyConfig(FitConfig(training, (4, 5), (5, 6)), hidden=0.3, seed=3, runs=2)
    assert 0 < len(hidden_creatives(shop, config)) < COUNT
    visual = np.eye(EACH, dtype=np.float32)[np.arange(COUNT) % EACH]
    nothing = np.zeros((QUERIES, 0), np.float32)
    vectors = Embeddings(
        np.arange(COUNT), np.arange(QUERIES), visual, np.zeros((COUNT, 0), np.float32), nothing
    )
    rungs = [Rung("ID only", None), Rung("visual", vectors)]
    rows = study(shop, rungs, truth(), config, tmp_path)
    new = [row["unbiased"]["new"]["gauc"] for row in rows]
    assert new[1] > new[0]
    assert rows[0]["unbiased"]["all"]["pairs"] == COUNT * QUERIES
    assert [row["runs"] for row in rows] == [2, 2]
    table = show(rows)
    assert table.count("\n") == 3
    said: list[str] = []
    again = study(shop, rungs, truth(), config, tmp_path, said.append)
    assert again == rows
    assert said == []  # nothing is fitted twice


def test_the_visual_ladder_has_every_step(shop: Shop) -> None:
    rng = np.random.default_rng(0)
    seen = Appearance(
        rng.normal(size=(COUNT, 5, 384)).astype(np.float32), np.zeros((COUNT, len(MEASURES)))
    )
    rows = np.arange(COUNT - 2)
    small = VisualConfig(width=4, s1_steps=3, s2_steps=3, batch=8, negatives=8)
    cells = count_cells(shop, read_fields(), (0, 3))
    found = visual_ladder(seen, seen, cells, shop.classes, rows, small)
    assert list(found) == ["off-the-shelf", "s1", "s1+s2"]
    for vectors in found.values():
        assert vectors.shape == (COUNT, 4)
        assert vectors[rows].mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-5)


def test_runs_are_averaged_figure_by_figure() -> None:
    def run(value: float, deciles: list[float], new: float | None) -> dict[str, Any]:
        return {"rung": "ID", "log": {"all": {"gauc": value, "pcoc_deciles": deciles}},
                "unbiased": {"new": {"auc": new}}}  # fmt: skip

    found = mean_of([run(0.6, [1.0, 2.0], None), run(0.8, [3.0, 2.0], 0.5)])
    assert found["log"]["all"]["gauc"] == pytest.approx(0.7)
    assert found["log"]["all"]["pcoc_deciles"] == [2.0, 2.0]
    assert found["sd"]["log"]["all"]["gauc"] == pytest.approx(0.2 / np.sqrt(2))
    assert found["unbiased"]["new"]["auc"] is None
    assert mean_of([run(0.6, [1.0], 0.5)])["sd"]["unbiased"]["new"]["auc"] is None


def test_standardised_by_hand() -> None:
    found = standardised(np.array([[1.0], [3.0], [9.0]], np.float32), np.array([0, 1]))
    assert found[:, 0].tolist() == [-1, 1, 7]


def test_a_prior_that_knows_beats_thompson_without() -> None:
    products, each = 20, 6
    count = products * each
    rng = np.random.default_rng(1)
    good = rng.normal(size=count).astype(np.float32)
    measured = np.zeros((count, len(MEASURES)), np.float32)
    measured[:, 0] = good
    pooled = rng.normal(size=(count, 5, 384)).astype(np.float32)
    ctr = 1 / (1 + np.exp(3 - 0.7 * good))
    shown = np.full(count, 5000.0)
    lesson = Lesson(
        Appearance(pooled, measured), np.zeros((count, 4), np.float32), ctr * shown, shown, shown,
        np.repeat(np.arange(products), each),
    )  # fmt: skip
    model = fit_newcomer(
        lesson.seen, lesson.words, lesson.clicks, shown, lesson.products, NewcomerConfig()
    )
    scorer = Scorer(model, Calibrator((0.0, 1.0), (0.0, 1.0), 40.0))
    rates = Rates(ctr, np.full(count, 10.0), np.full(count, 100.0), np.full(count, 5.0))
    assert rates.cvr == pytest.approx(np.full(count, 0.1))
    with pytest.raises(InputError, match="no verdict is of a held-out product"):
        ab_test(lesson, rates, scorer, TrialConfig(), {-1: [(0, 1, 0.9)]})
    verdicts = {
        product: [(0, 1, 0.9 if ctr[product * each] > ctr[product * each + 1] else 0.1)]
        for product in range(products)
    }
    config = TrialConfig(impressions=150, runs=10)
    table = ab_test(lesson, rates, scorer, config, verdicts)
    policies = table["policies"]
    assert (table["products"], table["creatives"], table["judged_products"]) == (4, 24, 4)
    assert policies["visual + thompson"]["ctr"] > policies["thompson"]["ctr"]
    assert policies["oracle"]["ctr"] == max(row["ctr"] for row in policies.values())
    assert policies["random"]["lift_over_random"] == [0, 0, 0]


def test_a_ring_holds_every_creative_twice() -> None:
    assert list(ring([4, 2, 7])) == [(4, 2), (2, 7), (7, 4)]
    assert list(ring([4, 2])) == [(4, 2)]
    assert list(ring([4])) == []


def test_pairs_to_judge_are_of_held_out_products(shop: Shop) -> None:
    rows = pairs_to_judge(shop, read_fields(), (0, 6), products=9, folder=shop.folder / "judged")
    assert len(rows) == EACH  # of four products one is held out
    assert len({row["product_id"] for row in rows}) == 1
    assert rows[0]["image_a"].startswith("../images/")
    assert len(rows[0]["queries"]) == 5
    sides = [row[side] for row in rows for side in ("image_a", "image_b")]
    assert sorted(sides) == sorted(2 * list(set(sides)))
    path = shop.folder / "taught.jsonl"
    for split, left in (("train", 0), ("test", EACH)):
        path.write_text(dumps(rows[0] | {"split": split}), "utf-8")
        known = taught_products(path)
        found = pairs_to_judge(shop, read_fields(), (0, 6), 9, shop.folder / "judged", taught=known)
        assert found == rows[:left]
