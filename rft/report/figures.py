"""Count every figure of a judge from its verdicts and the pairs that they are of.

`creative4u rft evaluate` judges and then counts with this.

Intervals are 95 % percentile bootstraps over products, not pairs: pairs of one product share their
images. A figure that nothing can be counted for is nan. Orders are told in the user's own A and B.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from creative4u.errors import InputError
from creative4u.metrics import expected_calibration_error
from creative4u.schema import CreativePair
from creative4u.selector.config import PAPER, JudgeConfig
from creative4u.selector.protocol.questions import KEYS
from rft.evidence.calibrate import FITTED, LEAST, fit_experts
from rft.evidence.experts import Floats, fused
from rft.report.judged import Judged, Row, matched, matched_or_none

Figure = Callable[[npt.NDArray[np.int64]], float]  # row numbers, repeats allowed -> one number
GAPS = (0.6, 1.0, 1.5, 2.5, np.inf)  # of the higher CTR over the lower, less one
ROUNDS = 1000
ASKED = KEYS[:-1]  # the questions beside the choice
BAD_FORM = ("unparsable", "truncated", "bad_completion")


class Bootstrap:
    """Draws of products with replacement, the same for every figure."""

    def __init__(self, products: Sequence[str], rounds: int = ROUNDS, seed: int = 0) -> None:
        _, place = np.unique(np.array(products), return_inverse=True)
        groups = [np.flatnonzero(place == number) for number in range(place.max() + 1)]
        rng = np.random.default_rng(seed)
        self.all = np.arange(len(products))
        self.draws = [
            np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
            for _ in range(rounds)
        ]

    def of(self, figure: Figure) -> dict[str, Any]:
        """`value`, `interval` and `n` of a figure over all rows."""
        told = np.array([figure(rows) for rows in self.draws])
        known = told[~np.isnan(told)]
        ends = np.quantile(known, [0.025, 0.975]).tolist() if known.size else [np.nan, np.nan]
        return {"value": figure(self.all), "interval": ends, "n": len(self.all)}

    def mean(self, column: npt.ArrayLike) -> dict[str, Any]:
        """`of` the mean of a column (N,) or (N, orders), nan left out; `n` counts known rows."""
        values = np.asarray(column, float)
        flat = values if values.ndim == 1 else values.mean(axis=1)  # a row is known or is not
        known = ~np.isnan(flat)
        told = self.of(lambda rows: _mean(flat[rows]))
        return told | {"n": int(known.sum())}


def evaluate(
    rows: Sequence[Row],
    pairs: Mapping[str, CreativePair],
    validation: Sequence[Row] = (),
    before: Sequence[Row] = (),
    config: JudgeConfig = PAPER,
) -> dict[str, Any]:
    """Every figure but the reasoning's quality.

    Args:
        rows: verdict rows, errors included.
        pairs: by pair_id, labels and, where known, CTRs and answers.
        validation: verdict rows of a held-out split, judged with the same model; the calibration
            is fitted on them anew.
        before: another model's verdicts (SFT alone) on the same pairs.
        config: what the verdicts were judged with.
    """
    judged = matched(rows, pairs, config)
    draw = Bootstrap([pair.product_id or pair.pair_id for pair in judged.pairs])
    errors = [row["error"]["code"] for row in rows if row.get("error")]
    bad = sum(code in BAD_FORM for code in errors)
    found: dict[str, Any] = {
        "n": len(rows),
        "errors": len(errors),
        "parse_rate": 1 - bad / len(rows),
        "AA": draw.mean(judged.right),
        "CA": draw.mean(judged.right.min(1)),
        "consistent": draw.mean(judged.right[:, 0] == judged.right[:, 1]),
        "experts": experts(judged, draw),
        "calibration": calibration(judged, draw, matched_or_none(validation, pairs)),
        "questions": questions(judged, draw),
        "by_gap": by_gap(judged, draw),
        "by_tag": by_tag(judged, draw),
        "risk_coverage": risk_coverage(judged),
        "choices": {
            kind: sum(row["choice"] == kind for row in judged.rows)
            for kind in ("A", "B", "tie", "inconclusive")
        },
    }
    if before:
        found["gain"] = gain(judged, matched(before, pairs))
    return found


def experts(judged: Judged, draw: Bootstrap) -> dict[str, Any]:
    """AA and CA of each expert alone, beside the judge's on the same pairs.

    An expert that is even gets one half. `overruled` is the share of orders in which the evidence
    decided against the language model. Rows that do not keep log odds are left out.
    """
    known = ~np.isnan(judged.lm).any(1)
    if not known.any():
        return {}
    sign = np.where(judged.label_a == 1, 1.0, -1.0)[:, None]  # (N, 1)
    overruled = [[float(order.get("overruled", False)) for order in row["orders"]]
                 for row in judged.rows]  # fmt: skip
    right = {name: (1 + np.sign(sign * odds)) / 2 for name, odds in judged.alone.items()}
    right["both"] = np.where(known[:, None], judged.right, np.nan)
    return {
        **{name: {"AA": draw.mean(one), "CA": draw.mean(one.min(1))}
           for name, one in right.items()},
        "overruled": draw.mean(np.where(known[:, None], overruled, np.nan)),
    }  # fmt: skip


def calibration(judged: Judged, draw: Bootstrap, validation: Judged | None) -> dict[str, Any]:
    """ECE as told and of each expert alone; and refitted on the validation split, if there is one.

    An expert alone is taken at its word: the language model's log odds without its position bias,
    not scaled; the evidence's as they are.
    """

    def ece(odds: Floats) -> dict[str, Any]:
        def of(rows: npt.NDArray[np.int64]) -> float:
            known = rows[~np.isnan(odds[rows]).any(1)]
            probability = expit(odds[known]).mean(1)
            sure = np.maximum(probability, 1 - probability)
            return expected_calibration_error(
                sure, (probability > 0.5) == (judged.label_a[known] == 1)
            )

        return draw.of(of)

    found: dict[str, Any] = {"ece_as_told": ece(judged.odds)}
    if np.isnan(judged.lm).all():
        return found
    found |= {f"ece_{name}_alone": ece(odds) for name, odds in judged.alone.items()}
    if validation is None:
        return found
    use = ~np.isnan(validation.lm).any(1)
    if use.sum() >= LEAST:
        fitted = fit_experts(validation.lm[use], validation.evidence[use],
                             validation.label_a[use], np.ones(use.sum()), judged.config)
        found |= {
            "refitted": {name: getattr(fitted, name) for name in FITTED},
            "fitted_on": int(use.sum()),
            "ece_refitted": ece(fused(judged.lm, judged.evidence, fitted)),
        }
    return found


def questions(judged: Judged, draw: Bootstrap) -> dict[str, Any]:
    """Accuracy a question against the pairs' answers, beside always saying the commonest one."""
    found: dict[str, Any] = {}
    columns = []
    for key in ASKED:
        due = [getattr(pair.answers, key) if pair.answers else None for pair in judged.pairs]
        known = [answer for answer in due if answer is not None]
        right = np.array(
            [[np.nan if answer is None else float(order["answers"][key] == answer)
              for order in row["orders"]] for row, answer in zip(judged.rows, due, strict=True)]
        )  # fmt: skip
        columns.append(right.mean(1))
        common = max((known.count(a) for a in set(known)), default=0)
        found[key] = draw.mean(right) | {"commonest": common / max(1, len(known))}
    found["average"] = draw.mean(np.mean(columns, axis=0))
    commonest = [found[key]["commonest"] for key in ASKED]
    found["average"]["commonest"] = float(np.mean(commonest))
    return found


def by_gap(judged: Judged, draw: Bootstrap) -> dict[str, Any]:
    """AA by how far the CTRs are apart; pairs without CTRs are left out."""
    gaps = np.array(
        [
            np.nan
            if not pair.ctr_a or not pair.ctr_b
            else max(pair.ctr_a, pair.ctr_b) / min(pair.ctr_a, pair.ctr_b) - 1
            for pair in judged.pairs
        ]
    )
    found = {}
    for low, high in zip((-np.inf, *GAPS[:-1]), GAPS, strict=True):
        inside = (gaps >= low) & (gaps < high)
        if inside.any():
            name = f"over {low:.0%}" if high == np.inf else f"{max(low, 0):.0%} to {high:.0%}"
            found[name] = draw.mean(np.where(inside[:, None], judged.right, np.nan))
    return found


def by_tag(judged: Judged, draw: Bootstrap) -> dict[str, Any]:
    """AA by how a pair was made: its damage, or that its queries decide."""
    tags = sorted({tag for pair in judged.pairs for tag in pair.tags})
    return {
        tag: draw.mean(
            np.where([[tag in pair.tags] for pair in judged.pairs], judged.right, np.nan)
        )
        for tag in tags
    }


def risk_coverage(judged: Judged) -> dict[str, Any]:
    """Accuracy of the surest share of pairs, for shares of 5 % to all; and its area under risk."""
    sure, right = judged.sureness()
    ranked = right[np.argsort(-sure, kind="stable")].astype(float)
    cumulated = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    shares = np.arange(0.05, 1.0001, 0.05)
    at = np.maximum(1, np.round(shares * len(ranked)).astype(int)) - 1
    return {
        "coverage": shares.round(2).tolist(),
        "accuracy": cumulated[at].tolist(),
        "area_under_risk": float((1 - cumulated).mean()),
    }


def gain(judged: Judged, before: Judged) -> dict[str, Any]:
    """AA and CA less the other model's, on the pairs that both judged, paired by product."""
    other = {row["pair_id"]: right for row, right in zip(before.rows, before.right, strict=True)}
    both = [i for i, row in enumerate(judged.rows) if row["pair_id"] in other]
    if not both:
        raise InputError("the two files of verdicts have no pair in common")
    one = judged.right[both]
    two = np.array([other[judged.rows[i]["pair_id"]] for i in both])
    products = [judged.pairs[i].product_id or judged.pairs[i].pair_id for i in both]
    draw = Bootstrap(products)
    return {
        "AA_before": float(two.mean()),
        "CA_before": float(two.min(1).mean()),
        "AA": draw.mean(one.mean(1) - two.mean(1)),
        "CA": draw.mean(one.min(1) - two.min(1)),
    }


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
