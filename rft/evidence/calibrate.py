"""Fit how a model's log odds become a probability, on labelled verdicts of held-out pairs.

Run: creative4u rft calibrate verdicts.jsonl --model runs/sft-160m/1-pairs

Position bias: averaged over both orders an unbiased judge gives the image shown first log odds of
zero, so the mean is the bias; estimating it needs no labels. Then two numbers join the experts
(`verdict.fuse`): a scale that divides the language model's log odds (temperature scaling, Guo et
al. 2017) and a weight of the evidence's (Hinton 2002, products of experts); both are those of the
least log loss of the judge's own average over both orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from creative4u.errors import InputError
from creative4u.metrics import expected_calibration_error, log_loss
from creative4u.selector.config import FILE_NAME, JudgeConfig, read_config
from rft.evidence.experts import FIRST, Floats, fused, log_odds

LEAST = 20  # verdicts; fewer say nothing about doubt
SCALES = (0.05, 50.0)  # of the language model
MOST = 2.0  # weight of the evidence
FITTED = ("position_bias", "lm_scale", "evidence_weight")


def position_bias(lm: Floats) -> float:
    """The mean log odds given to what is shown first.

    Args:
        lm: (n, 2) log odds of A in the orders AB and BA; an even judge has equal columns.
    """
    return float((FIRST * lm).mean())


def fit_experts(
    lm: Floats, evidence: Floats, label_a: Floats, counts: Floats, config: JudgeConfig
) -> JudgeConfig:
    """`config` with the position bias, scale and weight of the least log loss.

    Args:
        lm, evidence: (n, 2) log odds of A by order; where all evidence is 0 its weight is 0.
        label_a: (n,) 1 where A was clicked more.
        counts: (n,) how much each row counts.
    """
    unbiased = config.model_copy(update={"position_bias": position_bias(lm)})

    def at(point: Floats) -> JudgeConfig:
        fitted = {"lm_scale": float(np.exp(point[0])), "evidence_weight": float(point[1])}
        return unbiased.model_copy(update=fitted)

    def loss(point: Floats) -> float:
        of_a = expit(fused(lm, evidence, at(point))).mean(1).clip(1e-9, 1 - 1e-9)
        return float(-counts @ (label_a * np.log(of_a) + (1 - label_a) * np.log(1 - of_a)))

    most = MOST if evidence.any() else 0.0
    bounds = [(np.log(SCALES[0]), np.log(SCALES[1])), (0.0, most)]
    starts = [np.array([scale, min(w, most)]) for scale in (0.0, 1.5, 3.0) for w in (0.1, 0.6)]
    found = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    return at(min(found, key=lambda one: float(one.fun)).x)


def calibrate(
    rows: Iterable[dict[str, Any]], model: Path, *more: Iterable[dict[str, Any]]
) -> dict[str, float]:
    """Fit on verdict rows that have labels, write creative4u.json, give figures before and after.

    Both experts' log odds stand in the rows as they were, so any calibration may have judged them;
    pairs of one picture are left out. `more` are further files; every file counts the same in sum.
    Raises InputError where fewer than LEAST rows can be used, or the rows hold no log odds.
    """
    config = read_config(model)
    files = [[row for row in file if row.get("label") and len(row.get("orders", ())) == 2
              and row["choice"] != "tie"] for file in (rows, *more)]
    used = [row for file in files for row in file]
    if len(used) < LEAST:
        raise InputError(f"got {len(used)} labelled verdicts of both orders; at least {LEAST}")
    lm, evidence = log_odds(used)
    if np.isnan(lm).any():
        raise InputError("a verdict holds no log_odds_lm: it was judged before it was kept; "
                         "judge the pairs again")
    label = np.array([row["label"] == "A" for row in used], float)
    counts = np.array([max(map(len, files)) / len(file) for file in files for _ in file])
    fitted = fit_experts(lm, evidence, label, counts, config)
    kept = {name: round(getattr(fitted, name), 4) for name in FITTED}
    (model / FILE_NAME).write_text(
        config.model_copy(update=kept).model_dump_json(indent=2) + "\n", "utf-8"
    )
    figures = {"n": float(len(used))} | {name: getattr(fitted, name) for name in FITTED}
    for name, one in (("before", config), ("after", fitted)):
        probability = expit(fused(lm, evidence, one)).mean(1)
        sure = np.maximum(probability, 1 - probability)
        right = (probability > 0.5) == (label == 1)
        figures |= {f"log_loss_{name}": log_loss(probability, label),
                    f"ece_{name}": expected_calibration_error(sure, right)}
    return figures
