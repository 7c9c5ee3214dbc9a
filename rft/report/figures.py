"""Compute every figure of a judge from verdicts and what is known of their pairs.

Run: creative4u rft evaluate verdicts.jsonl --pairs DIR/pairs.jsonl --card docs/model-card.md

Intervals are 95 % percentile bootstraps over products, not pairs: pairs of one product share their
images. A figure that nothing can be counted for is nan. Orders are told in the user's own A and B.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from creative4u.errors import InputError
from creative4u.metrics import expected_calibration_error
from creative4u.schema import CreativePair
from creative4u.selector.protocol.questions import KEYS
from rft.evidence.calibrate import LEAST, fit_temperature

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]
Figure = Callable[[npt.NDArray[np.int64]], float]  # row numbers, repeats allowed -> one number
GAPS = (0.6, 1.0, 1.5, 2.5, np.inf)  # of the higher CTR over the lower, less one
ROUNDS = 1000
ASKED = KEYS[:-1]  # the questions beside the choice
BAD_FORM = ("unparsable", "truncated", "bad_completion")


@dataclass
class Judged:
    """Verdict rows without errors as columns; `order_*` have an entry for each order."""

    rows: list[Row]
    pairs: list[CreativePair]
    label_a: Floats = field(init=False)  # (N,)
    odds: Floats = field(init=False)  # (N, orders) log odds of A, as told
    right: Floats = field(init=False)  # (N, orders)

    def __post_init__(self) -> None:
        self.label_a = np.array([pair.label == "A" for pair in self.pairs], float)
        told = [[order["probability_a"] for order in row["orders"]] for row in self.rows]
        self.odds = logit(np.array(told, float).clip(1e-12, 1 - 1e-12))
        self.right = np.array(
            [[order["choice"] == pair.label for order in row["orders"]]
             for row, pair in zip(self.rows, self.pairs, strict=True)], float,
        )  # fmt: skip

    def sureness(self, temperature: float = 1.0) -> tuple[Floats, Floats]:
        """Confidence in the preferred side, and whether it was right, at a temperature."""
        probability = expit(self.odds / temperature).mean(1)
        return np.maximum(probability, 1 - probability), (probability > 0.5) == self.label_a


def matched(rows: Sequence[Row], pairs: Mapping[str, CreativePair]) -> Judged:
    """The rows that have a verdict in both orders and a labelled pair; raises InputError."""
    kept = [
        (row, pairs[row["pair_id"]])
        for row in rows
        if not row.get("error")
        and len(row["orders"]) == 2
        and row["pair_id"] in pairs
        and pairs[row["pair_id"]].label
    ]
    if not kept:
        raise InputError("no verdict of both orders belongs to a labelled pair of that file")
    return Judged([row for row, _ in kept], [pair for _, pair in kept])


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
    judged_at: float = 1.0,
) -> dict[str, Any]:
    """Every figure but the reasoning's quality.

    Args:
        rows: verdict rows, errors included.
        pairs: by pair_id, labels and, where known, CTRs and answers.
        validation: verdict rows of a held-out split, judged with the same model and temperature;
            the temperature is fitted on them.
        before: another model's verdicts (SFT alone) on the same pairs.
        judged_at: the temperature that the verdicts were told with.
    """
    judged = matched(rows, pairs)
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
        "calibration": calibration(judged, draw, matched_or_none(validation, pairs), judged_at),
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


def matched_or_none(rows: Sequence[Row], pairs: Mapping[str, CreativePair]) -> Judged | None:
    """`matched`, or None where there are no rows."""
    return matched(rows, pairs) if rows else None


def calibration(
    judged: Judged, draw: Bootstrap, validation: Judged | None, judged_at: float
) -> dict[str, Any]:
    """ECE of untempered odds, and at the temperature of the validation split where there is one."""

    def ece(temperature: float) -> dict[str, Any]:
        sure, right = judged.sureness(temperature / judged_at)
        return draw.of(lambda rows: expected_calibration_error(sure[rows], right[rows]))

    found: dict[str, Any] = {
        "judged_at": judged_at,
        "ece_untempered": ece(1.0),
        "ece_as_told": ece(judged_at),
    }
    if validation is not None and len(validation.rows) >= LEAST:
        fitted = fit_temperature(validation.odds * judged_at, validation.label_a)
        found |= {
            "temperature": fitted,
            "fitted_on": len(validation.rows),
            "ece_held_out_temperature": ece(fitted),
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
