"""Calibrate raw pCTRs on observed clicks and give each an interval.

Isotonic regression on held-out days, or beta calibration where there is little to fit on and ties
would lose the order; both are kept as knots. The interval is that of the impressions
behind the figure: with n impressions of the creative the rate is Beta(p (n + s), (1 - p) (n + s));
s, the impressions that the model's own knowledge is worth, is fitted on held-out creatives by the
likelihood of their clicks (beta-binomial).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import betaln, expit
from scipy.stats import beta
from sklearn.isotonic import IsotonicRegression

from creative4u.errors import InputError

Floats = NDArray[np.float64]
FLOOR = 1e-5  # no pCTR is 0 or 1
KNOTS = 200


@dataclass(frozen=True)
class Calibrator:
    """A rising piecewise linear map from raw to calibrated, and `strength` in impressions."""

    raw: tuple[float, ...]
    calibrated: tuple[float, ...]
    strength: float = 100.0

    def __call__(self, probability: ArrayLike) -> Floats:
        """(n,) raw probabilities to (n,) calibrated ones; outside the knots the last one holds."""
        found = np.interp(np.asarray(probability, float), self.raw, self.calibrated)
        return np.asarray(np.clip(found, FLOOR, 1 - FLOOR))

    def interval(
        self, probability: ArrayLike, impressions: ArrayLike = 0, level: float = 0.9
    ) -> tuple[Floats, Floats]:
        """Low and high (n,) of calibrated pCTRs that rest on so many impressions each."""
        p = np.clip(np.asarray(probability, float), FLOOR, 1 - FLOOR)
        weight = np.asarray(impressions, float) + self.strength
        tail = (1 - level) / 2
        low, high = (beta.ppf(q, p * weight, (1 - p) * weight) for q in (tail, 1 - tail))
        return np.minimum(low, p), np.maximum(high, p)

    def record(self) -> dict[str, object]:
        """As JSON."""
        return {"raw": self.raw, "calibrated": self.calibrated, "strength": self.strength}


def read_calibrator(record: Mapping[str, Any]) -> Calibrator:
    """What `Calibrator.record` wrote."""
    return Calibrator(
        tuple(map(float, record["raw"])),
        tuple(map(float, record["calibrated"])),
        float(record["strength"]),
    )


def fit_isotonic(
    probability: ArrayLike, outcome: ArrayLike, weight: ArrayLike | None = None
) -> Calibrator:
    """Fit on held-out rows: probabilities, outcomes in [0, 1] and weights, (n,) each.

    Raises InputError without rows, or where no row was clicked.
    """
    p, y = np.asarray(probability, float), np.asarray(outcome, float)
    if not p.size or not y.any():
        raise InputError(f"got {p.size} rows with {y.sum():.0f} clicks; calibration needs clicks")
    fitted = IsotonicRegression(out_of_bounds="clip").fit(p, y, sample_weight=weight)
    x, level = np.asarray(fitted.X_thresholds_), np.asarray(fitted.y_thresholds_)
    if len(x) > KNOTS:
        chosen = np.unique(np.linspace(0, len(x) - 1, KNOTS).astype(int))
        x, level = x[chosen], level[chosen]
    return Calibrator(tuple(x.tolist()), tuple(level.tolist()))


def fit_beta(
    probability: ArrayLike, outcome: ArrayLike, weight: ArrayLike | None = None
) -> Calibrator:
    """Beta calibration (Kull et al. 2017): logit p' = a ln p - b ln(1 - p) + c with a, b > 0.

    Strictly rising, so it never ties two scores. Arguments and errors as for `fit_isotonic`.
    """
    p, y = np.clip(np.asarray(probability, float), FLOOR, 1 - FLOOR), np.asarray(outcome, float)
    if not p.size or not y.any():
        raise InputError(f"got {p.size} rows with {y.sum():.0f} clicks; calibration needs clicks")
    w = np.ones(len(p)) if weight is None else np.asarray(weight, float)
    left, right = np.log(p), -np.log1p(-p)

    def loss(x: Floats) -> float:
        logit = np.exp(x[0]) * left + np.exp(x[1]) * right + x[2]
        return float((w * (np.logaddexp(0, logit) - y * logit)).sum() / w.sum())

    x = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"maxiter": 2000}).x
    knots = expit(np.linspace(np.log(FLOOR), -np.log(FLOOR), KNOTS))
    logit = np.exp(x[0]) * np.log(knots) - np.exp(x[1]) * np.log1p(-knots) + x[2]
    return Calibrator(tuple(knots.tolist()), tuple(expit(logit).tolist()))


def fit_strength(probability: ArrayLike, clicks: ArrayLike, impressions: ArrayLike) -> float:
    """How many impressions a prediction is worth, from creatives it was not trained on.

    Maximises the beta-binomial likelihood of the clicks under Beta(p s, (1 - p) s) over s in
    1 .. 100,000; all arrays (n,), one entry a creative.
    """
    p = np.clip(np.asarray(probability, float), FLOOR, 1 - FLOOR)
    c, n = np.asarray(clicks, float), np.asarray(impressions, float)

    def loss(log_strength: float) -> float:
        s = np.exp(log_strength)
        a, b = p * s, (1 - p) * s
        return -float((betaln(a + c, b + n - c) - betaln(a, b)).sum())

    found = minimize_scalar(loss, bounds=(0.0, np.log(1e5)), method="bounded")
    return float(np.exp(found.x))


def pcoc(probability: ArrayLike, outcome: ArrayLike) -> float:
    """Predicted clicks over observed clicks; nan without clicks."""
    observed = float(np.sum(np.asarray(outcome, float)))
    return float(np.sum(np.asarray(probability, float))) / observed if observed else float("nan")


def pcoc_by_decile(probability: ArrayLike, outcome: ArrayLike, parts: int = 10) -> list[float]:
    """PCOC of equal parts of the rows, sorted by probability."""
    p, y = np.asarray(probability, float), np.asarray(outcome, float)
    order = np.argsort(p, kind="stable")
    return [pcoc(p[rows], y[rows]) for rows in np.array_split(order, parts)]
