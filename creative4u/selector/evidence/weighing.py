"""Weigh two images' evidence: log odds by property, and their sum.

What a degree is worth is a curve learnt from training labels (`rft.evidence.fit_weights`). A
small model adds up poorly, so contributions and sum also stand in its prompt
(`prompt.evidence_text`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from creative4u.schema import ImageEvidence, PairEvidence

UNIT = 10  # the prompt states log odds in tenths
KNOTS = (0.0, 1.0, 3.0, 6.0, 9.0)  # degrees whose worth is learnt; between them it is linear
EVEN = 1e-6  # tenths; a sum of less is the rounding of none
TOTAL = "all"  # the sum's word in the prompt
# Which properties bear on which line of the reasoning (our choice).
BEARING = {
    "query_hit": ("query_words", "query"),
    "title_hit": ("title",),
    "text": ("text_lines", "text"),
    "props": ("props",),
    "layout": ("frame",),
    "subject": ("size", "complete", "occluded", "dark", "blur"),
    "background": ("contrast_with_background", "clutter"),
    "click": (TOTAL,),
}
Curves = Mapping[str, Sequence[float]]  # property's name -> log odds at each of KNOTS


def weigh_pair(a: ImageEvidence, b: ImageEvidence, curves: Curves) -> PairEvidence:
    """The evidence on a pair; without curves it has no contributions and log odds of 0."""
    contributions = {
        name: float(np.interp(a.degrees[name], KNOTS, curve)
                    - np.interp(b.degrees[name], KNOTS, curve))
        for name, curve in curves.items() if name in a.degrees and name in b.degrees
    }  # fmt: skip
    tenths = sum(UNIT * value for value in contributions.values())
    if EVEN < abs(tenths) < 1:
        tenths = math.copysign(1.0, tenths)
    return PairEvidence(A=a, B=b, contributions=contributions, log_odds=round(tenths) / UNIT)


def gaps(evidence: PairEvidence) -> dict[str, int]:
    """What tells a pair apart by property, positive for A, the widest first; nothing that is 0.

    Contributions in tenths of log odds with their sum (TOTAL) at the end; where there are none,
    the gaps between the levels 0 to 9.
    """
    of_a, of_b = evidence.A.degrees, evidence.B.degrees
    found: dict[str, float] = {
        name: round(of_a[name]) - round(of_b[name]) for name in of_a if name in of_b
    }
    total = 0
    if evidence.contributions:
        found = {name: UNIT * value for name, value in evidence.contributions.items()}
        total = round(UNIT * evidence.log_odds)
    ranked = sorted(found, key=lambda name: -abs(found[name]))
    listed = {name: round(found[name]) for name in ranked if round(found[name])}
    return listed | ({TOTAL: total} if total else {})
