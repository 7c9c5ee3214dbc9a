"""Fit a power law with a floor and predict a held-out point: MOON's scaling laws.

loss = floor + scale * size^(-exponent). The floor is searched on a grid between 0 and just under
the smallest loss, the other two are least squares of the logarithms. Intervals bootstrap the
residuals (our choice: five points carry no more).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ROUNDS = 400


@dataclass(frozen=True)
class PowerLaw:
    """The fitted law; `interval` is the exponent's."""

    floor: float
    scale: float
    exponent: float
    interval: tuple[float, float] = (float("nan"), float("nan"))

    def at(self, size: npt.ArrayLike) -> Floats:
        """The predicted loss at sizes (...)."""
        return np.asarray(self.floor + self.scale * np.asarray(size, float) ** -self.exponent)


@dataclass(frozen=True)
class Prediction:
    """A held-out point: its measured and predicted loss, and the prediction's interval."""

    size: float
    measured: float
    predicted: float
    interval: tuple[float, float]


def fit_power_law(size: npt.ArrayLike, loss: npt.ArrayLike, floors: int = 40) -> PowerLaw:
    """Fit the law to (n,) points, n at least 3. Raises ValueError."""
    x, y = np.asarray(size, float), np.asarray(loss, float)
    if len(x) < 3 or (x <= 0).any() or (y <= 0).any():
        raise ValueError(f"got {len(x)} points; a power law needs three points, all positive")
    best = PowerLaw(0.0, float(y.mean()), 0.0)
    least = np.inf
    for floor in np.linspace(0, 0.98 * y.min(), floors):
        slope, start = np.polyfit(np.log(x), np.log(y - floor), 1)
        law = PowerLaw(float(floor), float(np.exp(start)), float(-slope))
        error = float(((law.at(x) - y) ** 2).sum())
        if error < least - 1e-15:
            best, least = law, error
    return best


def hold_out(
    size: npt.ArrayLike, loss: npt.ArrayLike, seed: int = 7
) -> tuple[PowerLaw, Prediction]:
    """Fit all points but the largest and predict that one, with 95 % intervals."""
    x, y = np.asarray(size, float), np.asarray(loss, float)
    order = np.argsort(x)
    x, y = x[order], y[order]
    law = fit_power_law(x[:-1], y[:-1])
    residual = y[:-1] - law.at(x[:-1])
    freedom = max(len(x) - 1 - 2, 1)
    residual = (residual - residual.mean()) * np.sqrt((len(x) - 1) / freedom)
    rng = np.random.default_rng(seed)
    exponents, predicted = [], []
    for _ in range(ROUNDS):
        drawn = law.at(x[:-1]) + rng.choice(residual, len(residual))
        again = fit_power_law(x[:-1], np.maximum(drawn, 1e-9))
        exponents.append(again.exponent)
        predicted.append(float(again.at(x[-1])) + float(rng.choice(residual)))
    ends = np.quantile(exponents, [0.025, 0.975])
    low, high = np.quantile(predicted, [0.025, 0.975])
    with_interval = PowerLaw(law.floor, law.scale, law.exponent, (float(ends[0]), float(ends[1])))
    return with_interval, Prediction(
        float(x[-1]), float(y[-1]), float(law.at(x[-1])), (float(low), float(high))
    )
