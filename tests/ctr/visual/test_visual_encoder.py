"""S1 and S2 against numbers worked out on paper, and that training does what it says."""

import math

import numpy as np
import pytest
import torch

from creative4u.backbone.appearance import Appearance
from creative4u.ctr.visual.click_pool import ClickPool
from creative4u.ctr.visual.encoder import (
    VisualConfig,
    VisualEncoder,
    agreement_loss,
    click_loss,
    train_s1,
    train_s2,
    whiten,
)

SMALL = VisualConfig(width=8, s1_steps=20, s2_steps=60, batch=16, negatives=16, dropout=0.0)


def some_images(count: int, seed: int = 0) -> Appearance:
    rng = np.random.default_rng(seed)
    pooled = rng.normal(size=(count, 5, 384)).astype(np.float32)
    return Appearance(pooled, np.zeros((count, 10), np.float32))


def test_s1_is_one_minus_cosine() -> None:
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    other = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    assert float(agreement_loss(one, other)) == pytest.approx(0.5)  # mean of 0 and 1


def test_whitened_rows_have_covariance_one() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)) * [1, 2, 0.5] + 2)
    white = whiten(rows)
    assert white.mean(dim=0).numpy() == pytest.approx(np.zeros(3), abs=1e-9)
    assert (white.T @ white / 49).numpy() == pytest.approx(np.eye(3), abs=0.02)


def test_s1_gains_nothing_by_making_all_images_equal() -> None:
    rng = np.random.default_rng(1)
    one = torch.from_numpy(rng.normal(size=(40, 3)))
    other = one + 0.5 * torch.from_numpy(rng.normal(size=(40, 3)))
    pressed = torch.tensor([[1.0, 0, 0], [0, 0.1, 0], [0, 0, 0.1]], dtype=torch.double)

    def loss(turn: torch.Tensor) -> float:
        return float(agreement_loss(*whiten(torch.cat([one, other]) @ turn + 9).chunk(2)))

    assert float(agreement_loss(one @ pressed + 9, other @ pressed + 9)) < 0.01
    assert loss(pressed) == pytest.approx(loss(torch.eye(3, dtype=torch.double)), abs=2e-3)


def test_s2_by_hand() -> None:
    # a.p = 1, a.n = (0, -1), T = 1: -log(e / (e + 1 + 1/e))
    anchor, positive = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    negatives = torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]])
    expected = -math.log(math.e / (math.e + 1 + 1 / math.e))
    assert float(click_loss(anchor, positive, negatives, 1.0)) == pytest.approx(expected, rel=1e-6)


def test_s2_brings_clicked_creatives_together() -> None:
    seen = some_images(8)
    # query 0 clicks creatives 0 and 1, query 1 clicks 4 and 5; all are shown alike
    query = np.repeat([0, 1], 4)
    creative = np.arange(8)
    shown, clicks = np.full(8, 1000), np.array([300, 300, 0, 0, 300, 300, 0, 0])
    pool = ClickPool.build(query, creative, shown, clicks, np.repeat([0, 1], 4))
    torch.manual_seed(0)
    encoder = VisualEncoder(8)
    before = encoder.embed(seen)
    losses = train_s2(encoder, seen, pool, SMALL)
    after = encoder.embed(seen)
    assert losses[-1] < losses[0]
    assert after[0] @ after[1] > max(before[0] @ before[1], 0.8)
    assert after[0] @ after[1] > after[0] @ after[3] + 0.5


def test_s1_brings_two_views_together() -> None:
    seen = some_images(12)
    noise = np.random.default_rng(1).normal(size=seen.pooled.shape).astype(np.float32)
    other = Appearance(seen.pooled + 0.3 * noise, seen.measured)
    torch.manual_seed(0)
    encoder = VisualEncoder(8)
    losses = train_s1(encoder, seen, other, SMALL)
    assert losses[-1] < losses[0]
    assert np.linalg.norm(encoder.embed(seen), axis=1) == pytest.approx(np.ones(12), abs=1e-5)


def test_off_the_shelf_is_whitened() -> None:
    seen = some_images(40)
    encoder = VisualEncoder.off_the_shelf(seen, 4, np.arange(40))
    found = encoder.turn(encoder.flat(torch.from_numpy(seen.pooled))).detach().numpy()
    assert found.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-4)
    assert found.T @ found / 40 == pytest.approx(np.eye(4), abs=1e-3)


def test_more_width_than_images_is_no_harm() -> None:
    seen = some_images(5)
    encoder = VisualEncoder.off_the_shelf(seen, 8, np.arange(5))
    assert np.isfinite(train_s1(encoder, seen, seen, SMALL)).all()
    assert np.linalg.norm(encoder.embed(seen), axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_batch_of_one_equals_batch_of_eight() -> None:
    seen, encoder = some_images(8), VisualEncoder(8, dropout=0.5)
    whole = encoder.embed(seen)
    one = np.concatenate([encoder.embed(seen.take(np.array([row]))) for row in range(8)])
    assert np.abs(whole - one).max() < 1e-5
