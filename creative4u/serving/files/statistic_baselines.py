"""Measure what choosing by one image statistic would get, overall and by tag.

For each statistic the creative with the higher value is chosen; equal values count one half. A
statistic sees no order, so its AA and CA are the same figure. A judge that is not above the best
of them has seen nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creative4u.errors import ImageError
from creative4u.files.pairs_file import PairRow, RowError
from creative4u.image_statistics import image_statistics
from creative4u.schema import Side


@dataclass(frozen=True)
class LabelledPair:
    """Where the two images are, which one is right, and how the pair was made."""

    image_a: Path | bytes
    image_b: Path | bytes
    label: Side
    tags: tuple[str, ...] = ()


def labelled_rows(rows: Iterable[Mapping[str, Any]], folder: Path) -> Iterator[LabelledPair]:
    """Those rows of a verdict file that have a label and name their images."""
    for row in rows:
        if not row.get("error") and row.get("label") and "image_a" in row and "image_b" in row:
            yield LabelledPair(
                folder / row["image_a"], folder / row["image_b"], row["label"],
                tuple(row.get("tags") or ()),
            )  # fmt: skip


def labelled_pairs(pairs: Iterable[PairRow | RowError]) -> Iterator[LabelledPair]:
    """Those rows of a pairs file that have a label."""
    for pair in pairs:
        if isinstance(pair, PairRow) and pair.label is not None:
            yield LabelledPair(pair.source("A"), pair.source("B"), pair.label, pair.tags)


def baselines(pairs: Iterable[LabelledPair]) -> dict[str, Any]:
    """What each single image statistic would have got.

    Returns:
        `n` (pairs measured), `unreadable` (pairs left out), `best` (the statistic with the highest
        AA, None without pairs), `AA` {statistic: share}, `by` {tag: {statistic: share}}.
    """
    gains: dict[str, list[dict[str, float]]] = {"": []}
    unreadable = 0
    for pair in pairs:
        try:
            gain = _gains(pair)
        except ImageError:
            unreadable += 1
            continue
        for tag in ("", *pair.tags):
            gains.setdefault(tag, []).append(gain)
    overall = gains.pop("")
    shares = _shares(overall)
    return {
        "n": len(overall),
        "unreadable": unreadable,
        "best": max(shares, key=lambda name: shares[name], default=None),
        "AA": shares,
        "by": {tag: _shares(gains[tag]) for tag in sorted(gains)},
    }


def _gains(pair: LabelledPair) -> dict[str, float]:
    """1 for each statistic that prefers the labelled creative, one half where both are equal."""
    a, b = image_statistics(pair.image_a), image_statistics(pair.image_b)
    right, wrong = (a, b) if pair.label == "A" else (b, a)
    return {name: 0.5 + 0.5 * ((right[name] > wrong[name]) - (right[name] < wrong[name]))
            for name in right}  # fmt: skip


def _shares(gains: list[dict[str, float]]) -> dict[str, float]:
    names = gains[0] if gains else ()
    return {name: sum(gain[name] for gain in gains) / len(gains) for name in names}
