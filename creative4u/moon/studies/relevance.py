"""A query's and an item's vectors in, the calibrated probability that the item answers it out.

The relevance stage of an ad system (MOON is used in every one, arXiv 2511.11305): logistic
regression over the cosines of the query with the item's title, its image and both. Fitted on a log:
an item answers a query where it was bought after it again and again (`behaviour`), and does not
where it was shown for it and was not (our choice). The text-only score is the same over one cosine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from creative4u.errors import InputError
from creative4u.metrics import auc, expected_calibration_error, gauc, log_loss

Floats = npt.NDArray[np.floating[Any]]
PARTS = ("title", "image", "both")  # what of the item a query is compared with


@dataclass(frozen=True)
class Relevance:
    """Weights over the cosines named in `parts`, and the bias."""

    parts: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float

    def score(self, cosines: Floats) -> Floats:
        """(..., parts) cosines to (...) probabilities."""
        if cosines.shape[-1] != len(self.weights):
            raise InputError(f"got {cosines.shape[-1]} cosines; needed are {', '.join(self.parts)}")
        logit = cosines @ np.array(self.weights) + self.bias
        return np.asarray(1 / (1 + np.exp(-logit)))


def fit_relevance(
    cosines: Floats, label: npt.ArrayLike, parts: tuple[str, ...] = PARTS, ridge: float = 1e-4
) -> Relevance:
    """Maximum likelihood with a small ridge on the weights, by Newton's method.

    Args:
        cosines: (n, parts).
        label: (n,) 1 where the item answers the query.
    """
    from sklearn.linear_model import LogisticRegression

    y = np.asarray(label, int)
    if len(np.unique(y)) < 2:
        raise InputError("every pair has the same label; bought and not bought pairs are needed")
    model: Any = LogisticRegression(C=1 / (ridge * len(y)), solver="newton-cholesky", tol=1e-8)
    model.fit(np.asarray(cosines, float), y)
    return Relevance(parts, tuple(model.coef_[0].tolist()), float(model.intercept_[0]))


def cosines(query: Floats, title: Floats, image: Floats, both: Floats) -> Floats:
    """Unit vectors of Q queries (Q, D) and N items (N, D each) to (Q, N, 3), by `PARTS`."""
    return np.stack([query @ title.T, query @ image.T, query @ both.T], axis=-1)


def judged(
    probability: npt.ArrayLike, label: npt.ArrayLike, query: npt.ArrayLike
) -> dict[str, float]:
    """AUC, AUC within each query, log loss and ECE of stated relevance against what is true."""
    return {
        "AUC": round(auc(probability, label), 4),
        "AUC within a query": round(gauc(probability, label, query), 4),
        "log loss": round(log_loss(probability, label, 1e-6), 4),
        "ECE": round(expected_calibration_error(probability, label), 4),
        "pairs": int(np.size(label)),
    }
