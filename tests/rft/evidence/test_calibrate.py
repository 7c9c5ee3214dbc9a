"""The temperature of a judge's doubt: found on odds that were overstated by a known factor."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from creative4u.errors import InputError
from creative4u.selector.config import FILE_NAME, JudgeConfig
from rft.evidence.calibrate import calibrate, first_lean, fit_experts, fit_temperature


def test_overstated_odds_are_divided_by_the_factor_they_were_overstated_by() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 20_000)
    label = (rng.random(20_000) < expit(true)).astype(float)
    assert fit_temperature(np.stack([3 * true, 3 * true], 1), label) == pytest.approx(3, abs=0.15)


def test_three_in_four_right_at_equal_odds_is_known_by_hand() -> None:
    # odds +-4 on every pair and 3 of 4 right: sigmoid(4 / T) = 3/4, so T = 4 / ln 3
    odds = np.array([[4.0, 4.0]] * 4 + [[-4.0, -4.0]] * 4)
    label = np.array([1, 1, 1, 0, 0, 0, 0, 1.0])
    assert fit_temperature(odds, label) == pytest.approx(4 / np.log(3), rel=1e-3)


def test_the_config_is_written_and_a_second_fit_from_its_own_verdicts_agrees(
    tmp_path: Path,
) -> None:
    (tmp_path / FILE_NAME).write_text(JudgeConfig(temperature=1.0).model_dump_json())

    def rows(temperature: float) -> list[dict[str, object]]:
        told = []
        for number in range(40):
            p = float(expit((4 if number % 2 else -4) / temperature))
            right = number % 8 < 6
            label = "A" if (number % 2 == 1) == right else "B"
            told.append({"label": label, "orders": [{"probability_a": p}, {"probability_a": p}]})
        return told

    first = calibrate(rows(1.0), tmp_path)
    second = calibrate(rows(first["temperature"]), tmp_path)
    assert first["temperature"] == pytest.approx(4 / np.log(3), rel=1e-3)
    assert second["temperature"] == pytest.approx(first["temperature"], rel=1e-3)
    assert first["log_loss_after"] < first["log_loss_before"]
    assert first["ece_after"] == pytest.approx(0, abs=1e-3)
    kept = json.loads((tmp_path / FILE_NAME).read_text())["temperature"]
    assert kept == pytest.approx(second["temperature"], abs=1e-4)


def test_the_lean_is_what_the_first_place_gets_for_nothing() -> None:
    true = np.array([2.0, -1.0, 0.5])
    odds = np.stack([true + 0.7, true - 0.7], 1)  # A is first in AB, B in BA
    assert first_lean(odds) == pytest.approx(0.7)
    assert first_lean(np.stack([true, true], 1)) == pytest.approx(0)


def test_a_lean_is_taken_off_and_a_second_fit_finds_none_left(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(JudgeConfig().model_dump_json())
    rng = np.random.default_rng(1)

    def rows(lean: float) -> list[dict[str, object]]:
        told = []
        for number in range(40):
            odds = (4 if number % 2 else -4) + rng.normal()
            label = "A" if (odds > 0) == (number % 8 < 6) else "B"
            orders = [{"probability_a": float(expit(odds + way * lean))} for way in (1, -1)]
            told.append({"label": label, "orders": orders})
        return told

    assert calibrate(rows(3.0), tmp_path)["first_lean"] == pytest.approx(3.0)
    kept = json.loads((tmp_path / FILE_NAME).read_text())
    assert kept["first_lean"] == pytest.approx(3.0)


def test_too_few_verdicts_say_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 0 labelled verdicts"):
        calibrate([{"error": {"code": "bad_image"}, "label": "A"}], tmp_path)


def test_two_experts_get_the_shares_that_made_the_labels() -> None:
    rng = np.random.default_rng(2)
    own, sums = rng.normal(0, 2, 40_000), rng.normal(0, 2, 40_000)
    label = (rng.random(40_000) < expit(0.5 * own + 0.7 * sums)).astype(float)
    odds, counts = np.stack([own, own], 1), np.ones(40_000)
    temperature, prior = fit_experts(odds, sums, label, counts)
    assert (temperature, prior) == (pytest.approx(2, abs=0.1), pytest.approx(0.7, abs=0.03))
    alone = fit_experts(odds, 0 * sums, label, counts)
    assert alone[1] == 0
    assert alone[0] == pytest.approx(fit_temperature(odds, label), rel=1e-2)


def test_a_second_file_counts_as_much_and_the_sum_is_read_from_the_last_line(
    tmp_path: Path,
) -> None:
    (tmp_path / FILE_NAME).write_text(JudgeConfig().model_dump_json())

    def rows(count: int, right: float, points: int) -> list[dict[str, object]]:
        told = []
        for number in range(count):
            label = "A" if number < count * right else "B"
            line = f"click: nothing between them; all A+{points}" if points else "click: nothing"
            order = {"probability_a": 0.5, "reasoning": line}
            told.append({"label": label, "orders": [order, order]})
        return told

    # log odds 1.0 for A in both files, A right in 0.9 of one and 0.5 of the other: 0.7 in sum
    figures = calibrate(rows(200, 0.9, 10), tmp_path, rows(20, 0.5, 10))
    assert figures["prior"] == pytest.approx(np.log(0.7 / 0.3), abs=0.01)
    assert json.loads((tmp_path / FILE_NAME).read_text())["prior"] == pytest.approx(
        figures["prior"], abs=1e-4
    )
