"""Write the ten lines of reasoning from known facts of two images."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from creative4u.schema import ProtocolAnswers, Side
from creative4u.selector.protocol.questions import KEYS, summary
from data.creative_pair.facts import Facts
from data.creative_pair.reasoning.claims import (
    CLAIMS,
    Claim,
    differing,
    plural,
    query_claims,
    title_claims,
)
from data.creative_pair.reasoning.rubric import answers as answer

# How much a unit of a fact counts when the most telling aspect of a line is sought (our choice).
WEIGHT = {"size": 1.6, "whole": 1.0, "cover": 1.0, "dark": 1.0, "blur": 1.0, "stand_out": 1.0,
          "clutter": 1.0, "text": 1.0, "props": 1.0, "frame": 1.0}
SECOND = 0.25  # an aspect differing by this much is told as well


class First(random.Random):
    """Dice that always fall on the first wording: one wording a claim."""

    def choice(self, seq: Sequence[Any]) -> Any:
        return seq[0]


def reason(a: Facts, b: Facts, queries: Sequence[str], click: Side, seed: str,
           plain: bool = False) -> tuple[ProtocolAnswers, str]:
    """The answers and the reasoning, one line a question; `seed` picks among the wordings.

    `plain` says every claim in its first wording. The click line is the summary of the answers,
    without a judgement (as the parser has it).
    """
    dice = First() if plain else random.Random(seed)
    said = answer(a, b, queries, click)
    values = said.model_dump()
    lines = []
    for key in KEYS:
        if key == "click":
            lines.append(f"click: {summary(values)}")
        else:
            lines.append(f"{key}: {_line(key, a, b, queries, values[key], dice)}. {values[key]}")
    return said, "\n".join(lines)


def _line(key: str, a: Facts, b: Facts, queries: Sequence[str], answer: str,
          dice: random.Random) -> str:
    if key == "same_image":
        return dice.choice(("different pictures", "two pictures") if answer == "no" else
                           ("one and the same picture",))
    if key == "too_similar":
        names = differing(a, b)[:2]
        if answer == "yes":
            return "hardly any difference"
        return f"they differ in {' and '.join(names)}" if names else "they say different things"
    if key == "title_hit":
        return _both(title_claims(a), title_claims(b), dice)
    if key == "query_hit":
        return _both(query_claims(a, queries)[:2], query_claims(b, queries)[:2], dice)
    aspects = CLAIMS[key]
    gap = {name: WEIGHT[name] * abs(getattr(a, name) - getattr(b, name)) for name in aspects}
    ranked = sorted(aspects, key=lambda name: (-gap[name], name))
    told = [ranked[0], *[name for name in ranked[1:2] if gap[name] >= SECOND]]
    clauses = [_said(aspects[name], a, b, dice) for name in told]
    of_a = " and ".join(dict.fromkeys(one for one, _ in clauses if one))
    of_b = " and ".join(dict.fromkeys(other for _, other in clauses if other))
    if of_a and of_a == of_b:
        return f"both {plural(of_a)}" if " and " not in of_a else f"A {of_a}; B {of_b}"
    parts = [f"{side} {claim}" for side, claim in (("A", of_a), ("B", of_b)) if claim]
    return "; ".join(parts) or "nothing between them"


def _both(of_a: Sequence[str], of_b: Sequence[str], dice: random.Random) -> str:
    """One claim of each; told of both where the same claim may be."""
    if set(of_a) == set(of_b):
        return f"both {plural(dice.choice(of_a))}"
    return f"A {dice.choice(of_a)}; B {dice.choice(of_b)}"


def _said(claims: Sequence[Claim], a: Facts, b: Facts, dice: random.Random) -> tuple[str, str]:
    """The most telling claim of each side; where both share it, one that tells them apart."""
    of_a = [claim for claim in claims if claim.holds(a, b)]
    of_b = [claim for claim in claims if claim.holds(b, a)]
    first_a, first_b = next(iter(of_a), None), next(iter(of_b), None)
    if first_a is first_b:
        own_a = next((claim for claim in of_a if claim not in of_b), None)
        own_b = next((claim for claim in of_b if claim not in of_a), None)
        if own_a or own_b:
            first_a, first_b = own_a, own_b
        elif first_a is not None:
            wording = dice.choice(first_a.wordings)
            return wording, wording
    return (dice.choice(first_a.wordings) if first_a else "",
            dice.choice(first_b.wordings) if first_b else "")
