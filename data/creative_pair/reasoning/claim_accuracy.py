"""Measure how many claims of a model's reasoning the facts bear out.

A small model is taught to quote no query and to name no product but the title's
(`rft.training.rows.told_reasoning`), so four of its claims are put back into the checker's words
before they are looked up: "answers a query", "shows the right product", "shows a wrong
product" and "shows another product".
Evidence that it cites from its prompt is no claim of its own and is not counted
(`completion.prose`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from creative4u.schema import CreativePair, Side
from creative4u.selector.protocol.completion import prose
from data.creative_pair.facts import Facts
from data.creative_pair.reasoning.check_claims import check_reasoning
from data.creative_pair.reasoning.claims import noun
from data.creative_pair.reasoning.rubric import met_queries

_SAYS_NOTHING = ("nothing between them",)


class BorneOut:
    """Counts of claims by line, and of those that the facts refuse; judgements are not counted."""

    def __init__(self, facts: Mapping[str, Facts]) -> None:
        self.facts = facts
        self.claims: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.reasonings = 0
        self.faultless = 0

    def add(self, reasoning: str, pair: CreativePair, click: Side) -> None:
        """Count one reasoning told in the pair's own A and B; pairs without facts are left out."""
        a, b = (self.facts.get(str(image)) for image in (pair.image_a, pair.image_b))
        if a is None or b is None:
            return
        told = restored(reasoning, a, b, pair.queries)
        wrong: Counter[str] = Counter()
        for found in check_reasoning(told, a, b, pair.queries, click):
            if not found.reason.startswith("judgement"):
                wrong[found.line] += 1
        for line in told.split("\n"):
            key, _, said = line.partition(": ")
            self.claims[key] += claim_count(said)
        self.refused += wrong
        self.reasonings += 1
        self.faultless += not wrong

    def figures(self) -> dict[str, object]:
        """Shares that hold: of all claims, by line, and of reasonings without a false claim."""
        total = self.claims.total()
        return {
            "reasonings": self.reasonings,
            "claims": total,
            "true": 1 - self.refused.total() / total if total else float("nan"),
            "faultless": self.faultless / max(1, self.reasonings),
            "by_line": {key: 1 - self.refused[key] / count for key, count in self.claims.items()},
        }


def claim_count(said: str) -> int:
    """Claims in what a line says before its judgement; "A is large and is whole" are two."""
    stated, stop, _ = said.rpartition(". ")
    stated = stated if stop else said
    if stated in _SAYS_NOTHING:
        return 0
    return sum(clause.count(" and ") + 1 for clause in stated.split("; "))


def restored(reasoning: str, a: Facts, b: Facts, queries: Sequence[str]) -> str:
    """The reasoning with its shortened claims in the checker's own words."""
    lines = []
    for line in reasoning.split("\n"):
        key, colon, said = line.partition(": ")
        said = prose(said)
        if key in ("title_hit", "query_hit"):
            said = "; ".join(_restored(key, clause, a, b, queries) for clause in said.split("; "))
        lines.append(key + colon + said)
    return "\n".join(lines)


def _restored(key: str, clause: str, a: Facts, b: Facts, queries: Sequence[str]) -> str:
    side = clause.partition(" ")[0]
    views = {"A": [a], "B": [b]}.get(side, [a, b])
    if key == "query_hit":
        met = [query for query in queries if all(query in met_queries(v, queries) for v in views)]
        quoted = f'"{noun(met[0])}"' if met else '"none"'
        return re.sub(r"(answers?) a query", lambda match: f"{match[1]} {quoted}", clause)
    shown = noun(views[0].shown)
    right = noun(views[0].product)
    clause = re.sub(r"(shows?) the right product(?!,)", rf"\1 the right product, {right}", clause)
    clause = re.sub(r"(shows?) a wrong product(?!,)", rf"\1 a wrong product, {shown}", clause)
    return re.sub(r"(shows?) another product", rf"\1 {shown} instead", clause)
