"""Fit position bias, language model scale and evidence weight on labelled held-out verdicts.

Run: creative4u rft calibrate verdicts.jsonl --model runs/sft-160m/1-pairs

What is shown first is given some log odds for nothing; over both orders of the same pairs an even
judge gives none, so their mean is that lean, and no label is needed to see it. Then one number
divides the log odds of both orders before they are averaged (temperature scaling, Guo et
al. 2017, on the judge's own average), and the log odds that the weighed differences come to are
added as another expert's (Hinton 2002, products of experts; both numbers are those of the least
log loss).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit

from creative4u.errors import InputError
from creative4u.metrics import expected_calibration_error, log_loss
from creative4u.selector.config import FILE_NAME, read_config
from creative4u.selector.evidence.weighing import summed

LEAST = 20  # verdicts; fewer say nothing about doubt
BOUNDS = (0.05, 50.0)  # of the temperature
MOST = 2.0  # of the prior
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


def fit_experts(
    odds: Floats, sums: Floats, label_a: Floats, counts: Floats
) -> tuple[float, float]:
    """The temperature T and the prior P of the least log loss of mean(sigmoid(odds / T + P sum)).

    Args:
        odds: (n, orders) log odds of A, untempered, in the user's own A and B.
        sums: (n,) what the weighed differences come to for A, log odds; where all are 0, P is 0.
        label_a: (n,) 1 where A was clicked more.
        counts: (n,) how much each row counts.
    """

    def loss(point: Floats) -> float:
        of_a = expit(odds / np.exp(point[0]) + point[1] * sums[:, None]).mean(1)
        of_a = of_a.clip(1e-9, 1 - 1e-9)
        return float(-counts @ (label_a * np.log(of_a) + (1 - label_a) * np.log(1 - of_a)))

    prior = (0.0, MOST if sums.any() else 0.0)
    bounds = [(np.log(BOUNDS[0]), np.log(BOUNDS[1])), prior]
    starts = [np.array([log_t, min(p, prior[1])]) for log_t in (0.0, 1.5, 3.0) for p in (0.1, 0.6)]
    found = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(found, key=lambda one: float(one.fun)).x
    return float(np.exp(best[0])), float(best[1])


def calibrate(
    rows: Iterable[dict[str, Any]], model: Path, *more: Iterable[dict[str, Any]]
) -> dict[str, float]:
    """Fit on verdict rows that have labels, write creative4u.json, say before and after.

    The rows may have been judged with any lean, temperature and prior: they are read from the
    model's config and taken out first. What the weighed differences come to is read from the last
    line of each reasoning. `more` are further files; every file counts the same in sum. Raises
    InputError where fewer than LEAST rows can be used.
    """
    config = read_config(model)
    files = [[row for row in file if row.get("label") and len(row.get("orders", ())) == 2]
             for file in (rows, *more)]
    used = [row for file in files for row in file]
    if len(used) < LEAST:
        raise InputError(f"got {len(used)} labelled verdicts of both orders; at least {LEAST}")
    told = np.array([[order["probability_a"] for order in row["orders"]] for row in used])
    label = np.array([row["label"] == "A" for row in used], float)
    counts = np.array([max(map(len, files)) / len(file) for file in files for _ in file])
    sums = np.array([
        np.mean([summed(order.get("reasoning", "")) for order in row["orders"]]) for row in used
    ])  # fmt: skip
    place = np.array([1.0, -1.0])  # A stands first in AB, last in BA
    judged = logit(told.clip(1e-12, 1 - 1e-12))  # (n, 2)
    own = (judged - config.prior * sums[:, None]) * config.temperature
    raw = own + config.first_lean * place
    lean = first_lean(raw)
    odds = raw - lean * place
    temperature, prior = fit_experts(odds, sums, label, counts)
    fitted = {"first_lean": round(lean, 4), "temperature": round(temperature, 4),
              "prior": round(prior, 4)}
    (model / FILE_NAME).write_text(
        config.model_copy(update=fitted).model_dump_json(indent=2) + "\n", "utf-8"
    )
    figures = {"n": float(len(used)), "first_lean": lean, "temperature": temperature,
               "prior": prior}
    after = odds / temperature + prior * sums[:, None]
    for name, value in (("before", judged), ("after", after)):
        probability = expit(value).mean(1)
        sure = np.maximum(probability, 1 - probability)
        right = (probability > 0.5) == (label == 1)
        figures |= {f"log_loss_{name}": log_loss(probability, label),
                    f"ece_{name}": expected_calibration_error(sure, right)}
    return figures
