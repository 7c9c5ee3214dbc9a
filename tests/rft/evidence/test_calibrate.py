"""Calibration: found on log odds that were overstated, biased or weighted by known factors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from creative4u.errors import InputError
from creative4u.selector.config import FILE_NAME, JudgeConfig
from rft.evidence.calibrate import calibrate, fit_experts, position_bias

CONFIG = JudgeConfig()


def row(label: str, lm: tuple[float, float], evidence: float = 0.0) -> dict[str, Any]:
    """A verdict row of both orders; `lm` are log odds of A in AB and in BA."""
    orders = [{"log_odds_lm": one, "log_odds_evidence": evidence} for one in lm]
    return {"label": label, "choice": "A", "orders": orders}


def test_overstated_log_odds_are_divided_by_the_factor_they_were_overstated_by() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 20_000)
    label = (rng.random(20_000) < expit(true)).astype(float)
    lm = np.stack([3 * true, 3 * true], 1)
    fitted = fit_experts(lm, 0 * lm, label, np.ones(20_000), CONFIG)
    assert fitted.lm_scale == pytest.approx(3, abs=0.15)
    assert (fitted.position_bias, fitted.evidence_weight) == (0, 0)


def test_three_in_four_right_at_equal_log_odds_is_known_by_hand(tmp_path: Path) -> None:
    # log odds +-4 on every pair and 3 of 4 right: sigmoid(4 / T) = 3/4, so T = 4 / ln 3
    (tmp_path / FILE_NAME).write_text(CONFIG.model_dump_json())
    rows = []
    for number in range(40):
        lm = 4.0 if number % 2 else -4.0
        rows.append(row("A" if (lm > 0) == (number % 8 < 6) else "B", (lm, lm)))
    first = calibrate(rows, tmp_path)
    second = calibrate(rows, tmp_path)  # whatever calibration the model has by now
    assert first["lm_scale"] == pytest.approx(4 / np.log(3), rel=1e-3)
    assert second["lm_scale"] == first["lm_scale"]
    assert first["log_loss_after"] < first["log_loss_before"]
    assert second["log_loss_before"] == pytest.approx(first["log_loss_after"], abs=1e-6)
    assert first["ece_after"] == pytest.approx(0, abs=1e-3)
    kept = json.loads((tmp_path / FILE_NAME).read_text())["lm_scale"]
    assert kept == pytest.approx(first["lm_scale"], abs=1e-4)


def test_the_position_bias_is_what_the_first_place_gets_for_nothing() -> None:
    true = np.array([2.0, -1.0, 0.5])
    lm = np.stack([true + 0.7, true - 0.7], 1)  # A is first in AB, B in BA
    assert position_bias(lm) == pytest.approx(0.7)
    assert position_bias(np.stack([true, true], 1)) == pytest.approx(0)


def test_a_position_bias_is_written(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(CONFIG.model_dump_json())
    rng = np.random.default_rng(1)
    rows = []
    for number in range(40):
        lm = (4 if number % 2 else -4) + rng.normal()
        rows.append(row("A" if (lm > 0) == (number % 8 < 6) else "B", (lm + 3, lm - 3)))
    assert calibrate(rows, tmp_path)["position_bias"] == pytest.approx(3.0)
    assert json.loads((tmp_path / FILE_NAME).read_text())["position_bias"] == pytest.approx(3.0)


def test_too_few_verdicts_say_nothing_and_a_tie_is_none(tmp_path: Path) -> None:
    rows = [{"error": {"code": "bad_image"}, "label": "A"}]
    rows += [row("A", (1.0, 1.0)) | {"choice": "tie"} for _ in range(30)]
    with pytest.raises(InputError, match="got 0 labelled verdicts"):
        calibrate(rows, tmp_path)


def test_verdicts_that_do_not_keep_the_experts_are_refused(tmp_path: Path) -> None:
    old = {"label": "A", "choice": "A", "orders": [{"probability_a": 0.5}] * 2}
    with pytest.raises(InputError, match="no log_odds_lm"):
        calibrate([old] * 30, tmp_path)


def test_two_experts_get_the_shares_that_made_the_labels() -> None:
    rng = np.random.default_rng(2)
    own, evidence = rng.normal(0, 2, (2, 40_000))
    label = (rng.random(40_000) < expit(0.5 * own + 0.7 * evidence)).astype(float)
    lm, beside = np.stack([own, own], 1), np.stack([evidence, evidence], 1)
    fitted = fit_experts(lm, beside, label, np.ones(40_000), CONFIG)
    assert fitted.lm_scale == pytest.approx(2, abs=0.1)
    assert fitted.evidence_weight == pytest.approx(0.7, abs=0.03)


def test_a_second_file_counts_as_much(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(CONFIG.model_dump_json())

    def rows(count: int, right: float) -> list[dict[str, Any]]:
        return [row("A" if n < count * right else "B", (0.0, 0.0), 1.0) for n in range(count)]

    # log odds 1.0 for A in both files, A right in 0.9 of one and 0.5 of the other: 0.7 in sum
    figures = calibrate(rows(200, 0.9), tmp_path, rows(20, 0.5))
    assert figures["evidence_weight"] == pytest.approx(np.log(0.7 / 0.3), abs=0.01)
    kept = json.loads((tmp_path / FILE_NAME).read_text())["evidence_weight"]
    assert kept == pytest.approx(figures["evidence_weight"], abs=1e-4)
