"""Score how probable it is that an item answers a query: calibrated relevance.

MOON is used in every stage of an ad system (arXiv 2511.11305); this is the relevance stage:
logistic regression over the cosines of the query with the item's title, its image and both. Fitted
on a log: an item answers a query if it was bought after it repeatedly (`behaviour`), and does not
if it was shown for it without (our choice).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from creative4u.errors import InputError
from creative4u.metrics import auc, expected_calibration_error, gauc, log_loss

Floats = npt.NDArray[np.floating[Any]]
PARTS = ("title", "image", "both")  # of the item, that a query is compared with


@dataclass(frozen=True)
class RelevanceScore:
    """A logistic score: weights of the cosines named in `parts`, and the bias."""

    parts: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float

    def score(self, cosines: Floats) -> Floats:
        """Probabilities (...) of cosines (..., parts). Raises InputError for a wrong shape."""
        if cosines.shape[-1] != len(self.weights):
            raise InputError(f"got {cosines.shape[-1]} cosines; needed: {', '.join(self.parts)}")
        logit = cosines @ np.array(self.weights) + self.bias
        return np.asarray(1 / (1 + np.exp(-logit)))


def fit_relevance(
    cosines: Floats, label: npt.ArrayLike, parts: tuple[str, ...] = PARTS, ridge: float = 1e-4
) -> RelevanceScore:
    """Fit by maximum likelihood with a ridge penalty on the weights.

    Args:
        cosines: (n, parts).
        label: (n,) 1 where the item answers the query.
        ridge: the penalty beside the mean log loss.
    """
    from sklearn.linear_model import LogisticRegression

    y = np.asarray(label, int)
    if len(np.unique(y)) < 2:
        raise InputError("every pair has the same label; bought and not bought pairs are needed")
    model: Any = LogisticRegression(C=1 / (ridge * len(y)), solver="newton-cholesky", tol=1e-8)
    model.fit(np.asarray(cosines, float), y)
    return RelevanceScore(parts, tuple(model.coef_[0].tolist()), float(model.intercept_[0]))


def cosines(query: Floats, title: Floats, image: Floats, both: Floats) -> Floats:
    """Cosines (Q, N, 3), by `PARTS`, of unit vectors of queries (Q, D) and items (N, D each)."""
    return np.stack([query @ title.T, query @ image.T, query @ both.T], axis=-1)


def relevance_metrics(
    probability: npt.ArrayLike, label: npt.ArrayLike, query: npt.ArrayLike
) -> dict[str, float]:
    """AUC, AUC within each query, log loss and ECE of probabilities against labels."""
    return {
        "AUC": round(auc(probability, label), 4),
        "AUC within a query": round(gauc(probability, label, query), 4),
        "log loss": round(log_loss(probability, label, 1e-6), 4),
        "ECE": round(expected_calibration_error(probability, label), 4),
        "pairs": int(np.size(label)),
    }
