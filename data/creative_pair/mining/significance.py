"""Clicks and impressions in; smoothed CTR, relative gap and the two-proportion test out."""

from __future__ import annotations

import math

PRIOR_CLICKS, PRIOR_REST = 2.0402, 54.0625  # a and b of PAPERS section 5 (VAM-HBM)


def smoothed_ctr(clicks: float, impressions: float) -> float:
    """(clicks + a) / (impressions + a + b): few impressions are drawn to the mean CTR."""
    return (clicks + PRIOR_CLICKS) / (impressions + PRIOR_CLICKS + PRIOR_REST)


def relative_gap(ctr_a: float, ctr_b: float) -> float:
    """How far the higher CTR is above the lower, as a share of the lower (our reading of 60 %)."""
    low, high = sorted((ctr_a, ctr_b))
    return math.inf if low <= 0 < high else (high - low) / low if low > 0 else 0.0


def z_score(clicks_a: int, shown_a: int, clicks_b: int, shown_b: int) -> float:
    """The pooled two-proportion z; positive where A is clicked more."""
    pooled = (clicks_a + clicks_b) / (shown_a + shown_b)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / shown_a + 1 / shown_b))
    return (clicks_a / shown_a - clicks_b / shown_b) / deviation if deviation > 0 else 0.0


def p_value(z: float) -> float:
    """Two-sided: the chance of so large a |z| where both CTRs are the same."""
    return math.erfc(abs(z) / math.sqrt(2))


def critical_z(p: float) -> float:
    """The |z| whose two-sided p-value is `p`, by bisection; 0 for p = 1."""
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(middle) > p else (low, middle)
    return low
