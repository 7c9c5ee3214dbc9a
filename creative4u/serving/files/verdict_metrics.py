"""A file of verdicts with labels in, its figures out: AA, CA, ECE, by tag.

Rows with an error are in no denominator: they are counted beside, as `errors`. A tie or an
inconclusive verdict is no choice, but each of its orders made one, so AA and CA count it like any
other. `ece` is of the confidence in the side that `probability_a` prefers.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from creative4u.errors import InputError
from creative4u.metrics import (
    average_accuracy,
    consistent_accuracy,
    expected_calibration_error,
    grouped_bootstrap,
    weighted_ratio,
)

ROUNDS = 2000  # bootstrap draws
Row = Mapping[str, Any]


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


def read_verdicts(path: Path) -> Iterator[Row]:
    """The rows of a verdict file, in its order; raises InputError with the row's number."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _lines(path)
    for number, row in enumerate(rows, start=1):
        try:
            if not row.get("error"):
                row["choice"], row["consistent"], row["orders"], row["probability_a"]
        except (KeyError, AttributeError, TypeError) as error:
            raise InputError(f"{path}, line {number}: not a verdict row") from error
        yield row


def _lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: not a verdict row") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    """What a row has not is null there; it is left out here."""
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=256):
            for row in batch.to_pylist():
                yield {key: value for key, value in row.items() if value is not None}
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from error


def evaluate(verdicts: Path, known: Mapping[str, Row] | None = None) -> dict[str, Any]:
    """The figures of a verdict file.

    Args:
        verdicts: what `creative4u judge` wrote.
        known: by pair_id, `label` and `tags` that stand above those in the rows.

    Returns:
        n, labelled, errors, errors_by_code, AA, CA, AA_interval, CA_interval, ties, inconclusive,
        consistent (share of judged pairs whose orders agree), ece, and `by`: for each tag
        {n, AA, CA}.
    """
    whole, by = Tally(), dict[str, Tally]()
    for row in read_verdicts(verdicts):
        row = {**row, **(known or {}).get(row["pair_id"], {})}
        whole.add(row)
        for tag in row.get("tags") or ():
            by.setdefault(tag, Tally()).add(row)
    if not whole.n:
        raise InputError(f"{verdicts}: no rows")
    return {**whole.figures(), "by": {tag: by[tag].accuracy() for tag in sorted(by)}}
