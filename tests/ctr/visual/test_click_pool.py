"""Who is whose positive and negative, on a log small enough to read."""

import numpy as np
import pytest

from creative4u.ctr.visual.click_pool import ClickPool
from creative4u.errors import InputError

# creatives 0-3 are of class 0, 4-5 of class 1; query 7 shows 0-3, query 9 shows 4, 5 and 0
QUERY = np.array([7, 7, 7, 7, 9, 9, 9])
CREATIVE = np.array([0, 1, 2, 3, 4, 5, 0])
SHOWN = np.array([100, 100, 100, 100, 100, 100, 100])
CLICKS = np.array([50, 40, 1, 0, 30, 2, 0])
CLASSES = np.array([0, 0, 0, 0, 1, 1])


def build() -> ClickPool:
    return ClickPool.build(QUERY, CREATIVE, SHOWN, CLICKS, CLASSES)


def test_the_lower_half_of_a_class_is_poor() -> None:
    assert build().poor.tolist() == [False, False, True, True, False, True]


def test_positives_are_clicked_for_the_same_query_and_never_the_anchor() -> None:
    anchor, positive, _ = build().draw(500, 2, np.random.default_rng(0))
    assert set(zip(anchor.tolist(), positive.tolist(), strict=True)) <= {
        (0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1), (4, 5), (5, 4),
    }  # fmt: skip
    assert (anchor != positive).all()


def test_negatives_are_of_other_classes_or_poor() -> None:
    pool = build()
    anchor, _, negative = pool.draw(200, 6, np.random.default_rng(0))
    same = pool.classes[negative] == pool.classes[anchor][:, None]
    assert pool.poor[negative[same]].all()
    assert same.mean() == pytest.approx(0.5)


def test_no_clicks_is_an_error() -> None:
    with pytest.raises(InputError, match="needs clicks"):
        ClickPool.build(QUERY, CREATIVE, SHOWN, np.zeros(7, int), CLASSES)
