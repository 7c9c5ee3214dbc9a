"""List the claims of a reasoning that the facts of both images contradict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from creative4u.errors import VerdictParseError
from creative4u.schema import Side
from creative4u.selector.protocol.completion import complete, parse
from creative4u.selector.protocol.questions import COMPARED, KEYS, summary
from data.creative_pair.facts import Facts
from data.creative_pair.reasoning.claims import differing, singular, true_claims
from data.creative_pair.reasoning.rubric import answers, too_similar

_CLAUSE = re.compile(r"(A|B|both) (.+)")


@dataclass(frozen=True)
class Unborne:
    """A claim that does not hold: the line, what was said, and why it was refused."""

    line: str
    said: str
    reason: str


def check_reasoning(reasoning: str, a: Facts, b: Facts, queries: Sequence[str],
                    click: Side) -> list[Unborne]:
    """Every claim against the facts and every judgement against the rubric; [] where all hold."""
    try:
        parsed = parse(complete(reasoning, click))
    except VerdictParseError as error:
        return [Unborne("", reasoning[:60], f"form: {error}")]
    due = answers(a, b, queries, click).model_dump()
    found = []
    for key, line in zip(KEYS, reasoning.split("\n"), strict=True):
        said = line.partition(": ")[2]
        if key == "click":
            if said != summary(parsed.answers.model_dump()):
                found.append(Unborne(key, said, "summary does not follow from the answers"))
            continue
        stated, _, judgement = said.rpartition(". ")
        if judgement != due[key]:
            found.append(Unborne(key, judgement, f"judgement: the facts say {due[key]}"))
        found += [Unborne(key, claim, reason)
                  for claim, reason in _claims(key, stated, a, b, queries)]
    return found


def _claims(key: str, stated: str, a: Facts, b: Facts,
            queries: Sequence[str]) -> list[tuple[str, str]]:
    """(claim, why it is refused) of one line."""
    if key == "same_image":
        same = a.image == b.image
        good = {"one and the same picture"} if same else {"different pictures", "two pictures"}
        return [] if stated in good else [(stated, "claim: not so")]
    if key == "too_similar":
        if stated == "hardly any difference":
            return [] if too_similar(a, b) else [(stated, "claim: they differ")]
        if stated == "they say different things":
            return [] if not too_similar(a, b) else [(stated, "claim: they do not")]
        named = stated.removeprefix("they differ in ").split(" and ")
        return [(name, "claim: no such difference") for name in named
                if name not in differing(a, b)]
    if stated == "nothing between them" and key in COMPARED:
        return []
    refused = []
    for clause in stated.split("; "):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            refused.append((clause, "form: no clause of A, B or both"))
            continue
        views = {"A": [(a, b)], "B": [(b, a)], "both": [(a, b), (b, a)]}[match[1]]
        for claim in match[2].split(" and "):
            told = singular(claim) if match[1] == "both" else claim
            if not all(told in true_claims(key, own, other, queries) for own, other in views):
                refused.append((clause, "claim: the images do not show it"))
    return refused
