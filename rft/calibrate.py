"""Labelled verdicts of a held-out split in, the lean and the temperature of a model's answers out.

Run: creative4u rft calibrate verdicts.jsonl --model runs/sft-160m/1-pairs

What is shown first is given some log odds for nothing; over both orders of the same pairs an even
judge gives none, so their mean is that lean, and no label is needed to see it. Then one number
divides the log odds of both orders before they are averaged (temperature scaling, Guo et
al. 2017, on the judge's own average): the one with the least log loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from creative4u.errors import InputError
from creative4u.metrics import expected_calibration_error, log_loss
from creative4u.selector.config import FILE_NAME, read_config

LEAST = 20  # verdicts; fewer say nothing about doubt
BOUNDS = (0.05, 50.0)  # of the temperature
Floats = npt.NDArray[np.float64]


def fit_temperature(odds: Floats, label_a: Floats) -> float:
    """The temperature T of the least log loss of mean(sigmoid(odds / T)).

    Args:
        odds: (n, orders) log odds of A, untempered, in the user's own A and B.
        label_a: (n,) 1 where A was clicked more.
    """

    def loss(log_t: float) -> float:
        return log_loss(expit(odds / np.exp(log_t)).mean(1), label_a)

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded")
    return float(np.exp(found.x))


def first_lean(odds: Floats) -> float:
    """The mean log odds given to what is shown first.

    Args:
        odds: (n, 2) log odds of A in the orders AB and BA; an even judge has equal columns.
    """
    return float((odds[:, 0] - odds[:, 1]).mean() / 2)


def calibrate(rows: Iterable[dict[str, Any]], model: Path) -> dict[str, float]:
    """Fit on verdict rows that have labels, write creative4u.json, say before and after.

    The rows may have been judged with any lean and temperature: they are read from the model's
    config and taken out first. Raises InputError where fewer than LEAST rows can be used.
    """
    config = read_config(model)
    used = [row for row in rows if row.get("label") and len(row.get("orders", ())) == 2]
    if len(used) < LEAST:
        raise InputError(f"got {len(used)} labelled verdicts of both orders; at least {LEAST}")
    told = np.array([[order["probability_a"] for order in row["orders"]] for row in used])
    label = np.array([row["label"] == "A" for row in used], float)
    place = np.array([1.0, -1.0])  # A stands first in AB, last in BA
    judged = logit(told.clip(1e-12, 1 - 1e-12)) * config.temperature  # (n, 2)
    raw = judged + config.first_lean * place
    lean = first_lean(raw)
    odds = raw - lean * place
    temperature = fit_temperature(odds, label)
    fitted = {"first_lean": round(lean, 4), "temperature": round(temperature, 4)}
    (model / FILE_NAME).write_text(
        config.model_copy(update=fitted).model_dump_json(indent=2) + "\n", "utf-8"
    )
    figures = {"n": float(len(used)), "first_lean": lean, "temperature": temperature}
    for name, value in (("before", judged / config.temperature), ("after", odds / temperature)):
        probability = expit(value).mean(1)
        sure = np.maximum(probability, 1 - probability)
        right = (probability > 0.5) == (label == 1)
        figures |= {f"log_loss_{name}": log_loss(probability, label),
                    f"ece_{name}": expected_calibration_error(sure, right)}
    return figures
