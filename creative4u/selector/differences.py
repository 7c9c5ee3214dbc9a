"""Two described images in, what tells them apart side by side out: `blur A+8 size B+2 all A+6`.

A small model compares poorly over a distance and adds up poorly; so what it has to weigh stands in
its prompt in one place, and may be weighed beforehand with weights that were learnt from training
labels (`rft.weigh`). Source: our choice, docs/experiments.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TOTAL = "all"  # what the weighed differences come to
UNIT = 10  # points are tenths of log odds
CITED = 2  # differences cited in a line at most
# Which differences are told of in which line of the reasoning (our choice).
BEARING = {
    "query_hit": ("query",),
    "title_hit": ("title",),
    "text": ("text",),
    "props": ("props",),
    "layout": ("frame",),
    "subject": ("size", "whole", "cover", "dark", "blur"),
    "background": ("stand_out", "clutter"),
    "click": (TOTAL,),
}
_LEVEL = re.compile(r"([a-z_]+) (\d)")
_LISTED = re.compile(r"([a-z_]+) ([AB]\+\d+)")


def gaps(seen_a: str, seen_b: str) -> dict[str, int]:
    """Level of A less level of B, of every degree that is known of both described images."""
    of_a, of_b = (dict(_LEVEL.findall(seen)) for seen in (seen_a, seen_b))
    return {name: int(level) - int(of_b[name]) for name, level in of_a.items() if name in of_b}


def differences(seen_a: str, seen_b: str, weights: Mapping[str, float] | None = None) -> str:
    """What tells two described images apart, the heaviest first; "nothing" where nothing does.

    Without weights a gap belongs to the side that has more: `blur B+6 size A+2`. With weights (log
    odds a level) it belongs to the side that it speaks for, in tenths of log odds, and their sum
    closes the list: `blur A+8 size B+2 all A+6`.
    """
    apart = gaps(seen_a, seen_b)
    if not weights:
        return _listed({name: float(gap) for name, gap in apart.items()}) or "nothing"
    points = {name: UNIT * weights[name] * gap for name, gap in apart.items() if name in weights}
    total = _listed({TOTAL: sum(points.values())})
    return " ".join(part for part in (_listed(points), total) if part) or "nothing"


def cite(key: str, apart: str) -> str:
    """What `differences` lists that bears on a question, in its order: `blur A+6 size B+2`."""
    bearing = [f"{name} {lead}" for name, lead in _LISTED.findall(apart)
               if name in BEARING.get(key, ())]
    return " ".join(bearing[:CITED])


def _listed(gaps: Mapping[str, float]) -> str:
    ranked = sorted(gaps, key=lambda name: -abs(gaps[name]))
    return " ".join(f"{name} {'A' if gaps[name] > 0 else 'B'}+{abs(round(gaps[name]))}"
                    for name in ranked if round(gaps[name]))
