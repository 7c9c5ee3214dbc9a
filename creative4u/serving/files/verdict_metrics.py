"""A file of verdicts with labels in, its figures out: AA, CA, ECE, by tag.

Rows with an error are in no denominator: they are counted beside, as `errors`. A tie or an
inconclusive verdict is no choice, but each of its orders made one, so AA and CA count it like any
other; a pair of one picture (`selector.same_picture`) has a tie in both orders, which is not right
whatever the label says. `ece` is of the confidence in the side that `probability_a` prefers.
"""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from creative4u.errors import InputError
from creative4u.files.verdict_file import join, read_verdicts
from creative4u.metrics import (
    average_accuracy,
    consistent_accuracy,
    expected_calibration_error,
    grouped_bootstrap,
    weighted_ratio,
)

ROUNDS = 2000  # bootstrap draws
Row = Mapping[str, Any]
ALONE = "alone"
_log = logging.getLogger(__name__)


class Tally:
    """Counts rows of verdicts as they come; 16 bytes a labelled row."""

    def __init__(self) -> None:
        self.n = 0
        self.choices: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.consistent = 0
        self.right: Counter[tuple[bool, ...]] = Counter()  # by order, of judged labelled pairs
        self.confidence = array("d")
        self.outcome = array("d")

    def add(self, row: Row) -> None:
        """Count one row of a verdict file."""
        self.n += 1
        if row.get("error"):
            self.errors[row["error"]["code"]] += 1
            return
        self.choices[row["choice"]] += 1
        self.consistent += bool(row["consistent"])
        label = row.get("label")
        if label is None:
            return
        self.right[tuple(order["choice"] == label for order in row["orders"])] += 1
        probability = row["probability_a"]
        towards = probability if label == "A" else 1 - probability
        self.confidence.append(max(probability, 1 - probability))
        self.outcome.append(0.5 if probability == 0.5 else float(towards > 0.5))

    def counts(self) -> dict[str, int]:
        """How many rows ended how, for a progress bar."""
        return {
            "chosen": self.choices["A"] + self.choices["B"],
            "tie": self.choices["tie"],
            "inconclusive": self.choices["inconclusive"],
            "error": sum(self.errors.values()),
        }

    def accuracy(self) -> dict[str, Any]:
        """n (rows judged that have a label), AA and CA."""
        right = list(self.right.elements())
        return {
            "n": len(right),
            "AA": average_accuracy(right),
            "CA": consistent_accuracy(right),
        }

    def figures(self) -> dict[str, Any]:
        """Everything but the rows by tag; 95 % intervals by bootstrap over pairs."""
        judged = sum(self.choices.values())
        labelled = self.accuracy()
        return {
            "n": self.n,
            "labelled": labelled["n"],
            "errors": sum(self.errors.values()),
            "errors_by_code": dict(sorted(self.errors.items())),
            "AA": labelled["AA"],
            "CA": labelled["CA"],
            **self._intervals(),
            "ties": self.choices["tie"],
            "inconclusive": self.choices["inconclusive"],
            "consistent": self.consistent / judged if judged else float("nan"),
            "ece": expected_calibration_error(self.confidence, self.outcome),
        }

    def _intervals(self) -> dict[str, Any]:
        """Bootstrap over pairs, which are counted by kind: which of their orders were right."""
        kinds = list(self.right)
        if not kinds:
            return {"AA_interval": None, "CA_interval": None}
        aa = weighted_ratio([sum(kind) for kind in kinds], [len(kind) for kind in kinds])
        ca = weighted_ratio(
            [len(kind) > 1 and all(kind) for kind in kinds], [len(kind) > 1 for kind in kinds]
        )
        ends = grouped_bootstrap(
            lambda weights: np.stack([aa(weights), ca(weights)], axis=1),
            np.arange(len(kinds)),
            counts=list(self.right.values()),
            rounds=ROUNDS,
        )
        return {
            "AA_interval": ends[:, 0].tolist(),
            "CA_interval": None if np.isnan(ends[:, 1]).any() else ends[:, 1].tolist(),
        }


def evaluate(verdicts: Path, pairs: Path | None = None) -> dict[str, Any]:
    """The figures of a verdict file.

    Args:
        verdicts: what `creative4u judge` wrote.
        pairs: the file of pairs that was judged, whose labels and tags stand above those in the
            verdicts (`verdict_file.join`).

    Returns:
        n, labelled, errors, errors_by_code, AA, CA, AA_interval, CA_interval, ties, inconclusive,
        consistent (share of judged pairs whose orders agree), ece, and `by`: for each tag
        {n, AA, CA}.

    Raises InputError: no verdicts, or `pairs` is another file than was judged.
    """
    whole, by, alone = Tally(), dict[str, Tally](), 0
    for row in read_verdicts(verdicts) if pairs is None else _with_pairs(verdicts, pairs):
        whole.add(row)
        alone += bool(row.get(ALONE))
        for tag in row.get("tags") or ():
            by.setdefault(tag, Tally()).add(row)
    if not whole.n:
        raise InputError(f"{verdicts}: no rows")
    if alone:
        _log.warning(
            "%s: %d of %d verdicts have no pair in %s, or one that was changed since; they count "
            "with their own labels", verdicts, alone, whole.n, pairs,
        )  # fmt: skip
    return {**whole.figures(), "by": {tag: by[tag].accuracy() for tag in sorted(by)}}


def _with_pairs(verdicts: Path, pairs: Path) -> Iterator[Row]:
    """The verdicts with their pairs' labels and tags; ALONE marks those without a pair."""
    for row, pair in join(verdicts, pairs):
        if pair is None:
            yield {**row, ALONE: not row.get("error")}
        else:
            yield {**row, "label": pair.label, "tags": pair.tags}
