"""Two described images in, what tells them apart side by side out: `blur A+8 size B+2 all A+6`.

A small model compares poorly over a distance and adds up poorly; so what it has to weigh stands in
its prompt in one place, and may be weighed beforehand with weights that were learnt from training
labels (`rft.evidence.fit_weights`). Source: our choice, docs/experiments.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

TOTAL = "all"  # what the weighed differences come to
UNIT = 10  # points are tenths of log odds
KNOTS = (0.0, 1.0, 3.0, 6.0, 9.0)  # degrees whose worth is learnt; between them it is linear
CITED = 2  # differences cited in a line at most
EVEN = 1e-6  # points; a sum of less is the rounding of none
# Which differences are told of in which line of the reasoning (our choice).
BEARING = {
    "query_hit": ("words", "query"),
    "title_hit": ("title",),
    "text": ("said", "text"),
    "props": ("props",),
    "layout": ("frame",),
    "subject": ("size", "whole", "cover", "dark", "blur"),
    "background": ("stand_out", "clutter"),
    "click": (TOTAL,),
}
_LEVEL = re.compile(r"([a-z_]+) (\d)")
_TOTAL = re.compile(rf"\b{TOTAL} ([AB])\+(\d+)$")
_LISTED = re.compile(r"([a-z_]+) ([AB]\+\d+)")


def differences(seen_a: str, seen_b: str) -> str:
    """What tells two described images apart by whole levels, the widest first: `blur B+6 size A+2`.

    A gap belongs to the side that has more; "nothing" where no level differs.
    """
    of_a, of_b = (dict(_LEVEL.findall(seen)) for seen in (seen_a, seen_b))
    shared = (name for name in of_a if name in of_b)
    return _listed({name: int(of_a[name]) - int(of_b[name]) for name in shared}) or "nothing"


Worth = Mapping[str, Sequence[float]]  # degree's name -> log odds at each of KNOTS


def weighed(degrees_a: Mapping[str, float], degrees_b: Mapping[str, float], worth: Worth) -> str:
    """What tells two images apart, by what it counts: `blur A+8 size B+2 all A+6`.

    A gap in worth belongs to the side that it speaks for, in tenths of log odds, and their sum
    closes the list, at least one point for the side that leads by less; "nothing" where nothing
    counts.
    """
    points = {
        name: UNIT * float(np.interp(degrees_a[name], KNOTS, curve)
                           - np.interp(degrees_b[name], KNOTS, curve))
        for name, curve in worth.items() if name in degrees_a and name in degrees_b
    }
    total = sum(points.values())
    if EVEN < abs(total) < 1:
        total = math.copysign(1.0, total)
    told = (_listed(points), _listed({TOTAL: total}))
    return " ".join(part for part in told if part) or "nothing"


def summed(apart: str) -> float:
    """What a list of weighed differences, or a line that ends with it, comes to for A: log odds.

    0.0 where no sum closes it.
    """
    found = _TOTAL.search(apart)
    return 0.0 if found is None else int(found[2]) / UNIT * (1 if found[1] == "A" else -1)


def cite(key: str, apart: str) -> str:
    """What `differences` lists that bears on a question, in its order: `blur A+6 size B+2`."""
    bearing = [f"{name} {lead}" for name, lead in _LISTED.findall(apart)
               if name in BEARING.get(key, ())]
    return " ".join(bearing[:CITED])


def _listed(gaps: Mapping[str, float]) -> str:
    ranked = sorted(gaps, key=lambda name: -abs(gaps[name]))
    return " ".join(f"{name} {'A' if gaps[name] > 0 else 'B'}+{abs(round(gaps[name]))}"
                    for name in ranked if round(gaps[name]))
