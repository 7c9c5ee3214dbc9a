"""Match verdict rows with the labelled pairs that they are of, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, logit

from creative4u.errors import InputError
from creative4u.schema import CreativePair
from creative4u.selector.config import PAPER, JudgeConfig
from rft.evidence.experts import Floats, alone, log_odds

Row = Mapping[str, Any]


@dataclass
class Judged:
    """Verdict rows without errors as columns, and the config that they were judged with."""

    rows: list[Row]
    pairs: list[CreativePair]
    config: JudgeConfig = PAPER
    label_a: Floats = field(init=False)  # (N,)
    odds: Floats = field(init=False)  # (N, orders) log odds of A, as told
    lm: Floats = field(init=False)  # (N, orders) log odds of A; nan where they are not kept
    evidence: Floats = field(init=False)
    right: Floats = field(init=False)  # (N, orders)

    def __post_init__(self) -> None:
        self.label_a = np.array([pair.label == "A" for pair in self.pairs], float)
        told = [[order["probability_a"] for order in row["orders"]] for row in self.rows]
        self.odds = logit(np.array(told, float).clip(1e-12, 1 - 1e-12))
        self.lm, self.evidence = log_odds(self.rows)
        self.right = np.array(
            [[order["choice"] == pair.label for order in row["orders"]]
             for row, pair in zip(self.rows, self.pairs, strict=True)], float,
        )  # fmt: skip

    @property
    def alone(self) -> dict[str, Floats]:
        """The log odds of A of each expert alone, (N, orders) by "lm" and "evidence"."""
        return alone(self.lm, self.evidence, self.config)

    def sureness(self, odds: Floats | None = None) -> tuple[Floats, Floats]:
        """Confidence in the preferred side, and whether it was right; as told by default.

        Rows whose odds are nan are left out.
        """
        odds = self.odds if odds is None else odds
        known = ~np.isnan(odds).any(1)
        probability = expit(odds[known]).mean(1)
        right = (probability > 0.5) == self.label_a[known]
        return np.maximum(probability, 1 - probability), right


def matched(
    rows: Sequence[Row], pairs: Mapping[str, CreativePair], config: JudgeConfig = PAPER
) -> Judged:
    """The rows that have a verdict in both orders and a labelled pair; raises InputError."""
    kept = [
        (row, pairs[row["pair_id"]])
        for row in rows
        if not row.get("error")
        and len(row["orders"]) == 2
        and row["pair_id"] in pairs
        and pairs[row["pair_id"]].label
    ]
    if not kept:
        raise InputError("no verdict of both orders belongs to a labelled pair of that file")
    return Judged([row for row, _ in kept], [pair for _, pair in kept], config)


def matched_or_none(rows: Sequence[Row], pairs: Mapping[str, CreativePair]) -> Judged | None:
    """`matched`, or None where there are no rows."""
    return matched(rows, pairs) if rows else None
