"""Metrics against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from creative4u.metrics import (
    auc,
    average_accuracy,
    consistent_accuracy,
    expected_calibration_error,
    gauc,
    grouped_bootstrap,
    log_loss,
    recall_at_k,
    smoothed_ctr,
    weighted_ratio,
)


def test_aa_counts_orders_and_ca_counts_pairs() -> None:
    right = [[True, True], [True, False], [False, False], [True]]  # the last: one order only
    assert average_accuracy(right) == pytest.approx(4 / 7)
    assert consistent_accuracy(right) == pytest.approx(1 / 3)


def test_a_smoothed_ctr_adds_the_priors_clicks_and_impressions() -> None:
    assert smoothed_ctr(0, 0) == pytest.approx(2.0402 / 56.1027)
    found = smoothed_ctr([50, 0], [1000, 0])
    assert found == pytest.approx([52.0402 / 1056.1027, 2.0402 / 56.1027])


def test_nothing_to_count_is_nan() -> None:
    nothing = [
        average_accuracy([]), consistent_accuracy([[True]]), expected_calibration_error([], []),
        auc([1, 2], [1, 1]), gauc([1, 2], [1, 0], ["x", "y"]), gauc([], [], []), log_loss([], []),
        recall_at_k([], 1), *grouped_bootstrap(weighted_ratio([]), []),
    ]  # fmt: skip
    assert all(math.isnan(figure) for figure in nothing)


def test_ece_by_hand() -> None:
    # bin (0.8, 0.9]: said 0.9 and 0.9, happened once of two: gap 0.4, two rows
    # bin (0.5, 0.6]: said 0.6, happened: gap 0.4, one row; bin [0, 0.1]: said 0, did not: gap 0
    assert expected_calibration_error([0.9, 0.9, 0.6, 0.0], [1, 0, 1, 0]) == pytest.approx(
        (2 * 0.4 + 1 * 0.4 + 1 * 0.0) / 4
    )
    assert expected_calibration_error([0.25] * 4, [1, 0, 0, 0]) == pytest.approx(0)
    # in one bin opposite errors cancel, in ten they do not
    assert expected_calibration_error([0.0, 1.0], [1, 0], bins=1) == pytest.approx(0)
    assert expected_calibration_error([0.0, 1.0], [1, 0]) == pytest.approx(1)


def test_auc_by_hand() -> None:
    # positives 0.9 and 0.4; negatives 0.4 and 0.1: three wins and one tie of four
    assert auc([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0]) == pytest.approx(3.5 / 4)
    assert auc([1, 2, 3], [1, 0, 0]) == pytest.approx(0)
    assert auc([5, 5, 5], [1, 0, 0]) == pytest.approx(0.5)


def test_auc_agrees_with_counting_all_pairs() -> None:
    random = np.random.default_rng(1)
    score, label = random.integers(0, 5, 60), random.integers(0, 2, 60)
    gaps = score[label == 1][:, None] - score[label == 0]  # (positives, negatives)
    assert auc(score, label) == pytest.approx(((gaps > 0) + (gaps == 0) / 2).mean())


def test_gauc_weighs_by_impressions_and_leaves_one_class_groups_out() -> None:
    score = [0.2, 0.1, 0.1, 0.2, 0.3, 0.9, 0.8]
    label = [1, 0, 1, 0, 0, 1, 1]
    group = ["u", "u", "v", "v", "v", "w", "w"]  # u: AUC 1, 2 rows; v: AUC 0, 3 rows; w: none
    assert gauc(score, label, group) == pytest.approx((2 * 1 + 3 * 0) / 5)


def test_log_loss_by_hand() -> None:
    assert log_loss([0.5, 0.25], [1, 0]) == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    assert log_loss([0.0], [1]) == pytest.approx(12 * math.log(10))


def test_recall_counts_ranks_up_to_k() -> None:
    assert recall_at_k([1, 4, 3], 1) == pytest.approx(1 / 3)
    assert recall_at_k([1, 4, 3], 3) == pytest.approx(2 / 3)


def test_a_bootstrap_over_rows_has_the_known_standard_error() -> None:
    assert grouped_bootstrap(weighted_ratio([1.0] * 9), range(9)).tolist() == [1.0, 1.0]
    coin = weighted_ratio([0.0, 1.0] * 200)
    low, high = grouped_bootstrap(coin, range(400))
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.01)  # standard error 0.5 / sqrt(400)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.01)
    assert grouped_bootstrap(coin, range(400)).tolist() == [low, high]
    assert grouped_bootstrap(coin, range(400), seed=1).tolist() != [low, high]


def test_a_bootstrap_draws_whole_groups() -> None:
    hits, group = [1.0, 1, 1, 0, 0, 0], ["a"] * 3 + ["b"] * 3
    # two groups of opposite rows: a draw is all right, all wrong or half and half
    assert grouped_bootstrap(weighted_ratio(hits), group).tolist() == [0.0, 1.0]
    seen: list[float] = []

    def halves(weights: np.ndarray) -> np.ndarray:
        seen.extend(weights.sum(axis=1))
        assert (weights[:, :3] == weights[:, :1]).all()
        return weights[:, 0] / 2

    grouped_bootstrap(halves, group, rounds=50)
    assert seen == [6.0] * 50


def test_a_bootstrap_of_a_difference_is_paired() -> None:
    a = np.random.default_rng(0).random(60)
    one, other = weighted_ratio(a), weighted_ratio(a - 0.25)
    low, high = grouped_bootstrap(
        lambda w: np.stack([one(w), one(w) - other(w)], axis=1), range(60)
    )
    assert high[0] - low[0] > 0.1
    assert [low[1], high[1]] == pytest.approx([0.25, 0.25])


def test_a_bootstrap_of_counted_rows_is_one_of_the_rows_themselves() -> None:
    rows = grouped_bootstrap(weighted_ratio([1.0] * 300 + [0.0] * 100), range(400), rounds=4000)
    kinds = grouped_bootstrap(weighted_ratio([1.0, 0.0]), range(2), [300, 100], rounds=4000)
    assert kinds == pytest.approx(rows, abs=0.006)


def test_a_bootstrap_leaves_out_draws_without_a_figure_and_does_not_depend_on_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clicks = weighted_ratio([1.0, 1.0, 0.0], [1.0, 0.0, 0.0])  # nan where row 0 is not drawn
    ends = grouped_bootstrap(clicks, range(3))
    assert ends[0] >= 1
    none = weighted_ratio([1.0, 1.0], [0.0, 0.0])
    assert np.isnan(grouped_bootstrap(none, range(2))).all()
    monkeypatch.setattr("creative4u.metrics.CELLS", 12)
    assert grouped_bootstrap(clicks, range(3)).tolist() == ends.tolist()


def test_shapes_that_do_not_match() -> None:
    with pytest.raises(ValueError, match=r"got shapes \(2,\) and \(3,\)"):
        auc([1, 2], [1, 0, 1])
