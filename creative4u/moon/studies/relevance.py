"""A query's and an item's vectors in, the calibrated probability that the item answers it out.

The relevance stage of an ad system (MOON is used in every one, arXiv 2511.11305): logistic
regression over the cosines of the query with the item's title, its image and both. Fitted on a log:
an item answers a query where it was bought after it again and again (`behaviour`), and does not
where it was shown for it and was not (our choice). The text-only score is the same over one cosine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
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

    def save(self, file: Path) -> Path:
        """Write it as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)) + "\n", "utf-8")
        part.replace(file)
        return file


def load_relevance(file: Path) -> Relevance:
    """What `Relevance.save` wrote; raises InputError."""
    try:
        row = json.loads(file.read_text("utf-8"))
        return Relevance(tuple(row["parts"]), tuple(row["weights"]), float(row["bias"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} holds no relevance score: {error}") from error


def fit_relevance(
    cosines: Floats, label: npt.ArrayLike, parts: tuple[str, ...] = PARTS, ridge: float = 1e-4
) -> Relevance:
    """Maximum likelihood with a small ridge on the weights, by Newton's method.

    Args:
        cosines: (n, parts).
        label: (n,) 1 where the item answers the query.
    """
    y = np.asarray(label, float)
    if y.min(initial=1) == y.max(initial=0):
        raise InputError("relevance needs pairs of both kinds: bought and passed over")
    x = np.concatenate([np.asarray(cosines, float), np.ones((len(y), 1))], axis=1)
    beta = np.zeros(x.shape[1])
    penalty = np.diag([ridge] * len(parts) + [0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (y - p) / len(y) - penalty @ beta
        curvature = (x * (p * (1 - p))[:, None]).T @ x / len(y) + penalty
        step = np.linalg.solve(curvature, gradient)
        beta += step * min(1.0, 10 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(gradient).max()) < 1e-10:
            break
    return Relevance(parts, tuple(float(one) for one in beta[:-1]), float(beta[-1]))


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
