"""Read both experts' log odds from verdict rows, and fuse them as judging does.

Everything is told in the user's own A and B; columns are the orders AB and BA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from creative4u.selector.config import JudgeConfig
from creative4u.selector.verdict import fuse

Floats = npt.NDArray[np.float64]
FIRST = np.array([1.0, -1.0])  # A stands first in AB, last in BA


def log_odds(rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
    """The language model's and the evidence's log odds of A, (n, 2) each.

    nan where a row does not hold them: it was judged before they were kept, or no model was asked
    (a pair of one picture).
    """
    found = []
    for name in ("log_odds_lm", "log_odds_evidence"):
        columns = [[order.get(name) for order in row["orders"]] for row in rows]
        found.append(np.array(columns, float).reshape(len(rows), 2))
    lm, evidence = found
    evidence[np.isnan(lm)] = np.nan
    return lm, evidence


def fused(lm: Floats, evidence: Floats, config: JudgeConfig) -> Floats:
    """Log odds of A that both experts come to, (n, 2), by `verdict.fuse`."""
    return FIRST * fuse(FIRST * lm, FIRST * evidence, config)


def alone(lm: Floats, evidence: Floats, config: JudgeConfig) -> dict[str, Floats]:
    """Each expert's own log odds of A, (n, 2): the model's without its position bias, unscaled."""
    unscaled = config.model_copy(update={"lm_scale": 1.0, "evidence_weight": 0.0})
    return {"lm": fused(lm, 0 * evidence, unscaled), "evidence": evidence}
