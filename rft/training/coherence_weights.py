"""Learn how much each protocol answer counts for the choice from labelled pairs.

Logistic regression of the click on the seven comparisons (+1, 0, -1) without a constant, so that
exchanging A and B exchanges the odds. Learnt from the training split alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.linear_model import LogisticRegression

from creative4u.errors import InputError
from creative4u.schema import CreativePair
from creative4u.selector.protocol.questions import COMPARED
from rft.training.rewards import SIGN

LEAST = 20  # pairs; fewer teach nothing


def learn_weights(pairs: Iterable[CreativePair]) -> dict[str, float]:
    """question -> log odds of A for `A>B` there; raises InputError under LEAST usable pairs."""
    used = [p for p in pairs if p.answers and p.label and p.split == "train"]
    if len(used) < LEAST:
        raise InputError(f"got {len(used)} training pairs with answers and label; at least {LEAST}")
    leans = np.array([[SIGN[getattr(p.answers, key)] for key in COMPARED] for p in used])  # (N, 7)
    side = np.array([p.label == "A" for p in used])
    # both ways of every pair: no side is likelier, and both classes are always there
    model = LogisticRegression(fit_intercept=False, C=1.0, max_iter=1000)
    model.fit(np.concatenate([leans, -leans]), np.concatenate([side, ~side]))
    return {key: float(w) for key, w in zip(COMPARED, model.coef_[0], strict=True)}
