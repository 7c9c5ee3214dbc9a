"""Say a verdict and its evidence in plain words, as the page does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from creative4u.schema import ImageEvidence, Side, Verdict
from creative4u.selector.evidence.properties import PROPERTIES, TOP
from creative4u.selector.plain_words import cited_words
from creative4u.selector.protocol.completion import prose
from creative4u.selector.protocol.questions import QUESTIONS

SHORT = {
    "same_image": "Same image", "too_similar": "Too similar", "query_hit": "Fits the searches",
    "title_hit": "Fits the title", "text": "Text", "props": "Models and props",
    "layout": "Layout", "subject": "Product", "background": "Background", "click": "In short",
}
_SAID = {"A>B": "A is better", "A<B": "B is better", "A=B": "Equal", "yes": "Yes", "no": "No",
         "A": "A", "B": "B", "tie": "Neither"}
_LEANS: dict[str, Side] = {"A>B": "A", "A<B": "B", "A": "A", "B": "B"}
_PROPERTY = {prop.name: prop for prop in PROPERTIES}
_KEYS = re.compile(rf"\b({'|'.join(SHORT)})\b")


@dataclass(frozen=True)
class Row:
    """One question of the protocol; `swapped` is the other order's judgement where it differs.

    `evidence` is what was measured that bears on it, in log odds.
    """

    question: str
    judgement: str
    leans: Side | None
    reason: str
    swapped: str | None = None
    evidence: str = ""


@dataclass(frozen=True)
class Seen:
    """One observed property of one image; `share` is the degree as part of the scale, 0..1."""

    label: str
    share: float
    scale: str


def headline(verdict: Verdict) -> str:
    """The outcome in one sentence."""
    if verdict.choice == "tie":
        return "No real difference between the two"
    if verdict.choice == "inconclusive":
        return "Too close to call"
    return f"Creative {verdict.choice} is more likely to be clicked"


def sureness(verdict: Verdict) -> str:
    """How sure, as a sentence."""
    if verdict.answers.same_image == "yes":
        return "Both are the same image, pixel for pixel. Use whichever you like."
    if verdict.answers.click == "tie":
        return ("Both are the same picture, saved again or resized. "
                "Use whichever file is larger and sharper.")
    if verdict.choice == "tie":
        return ("Shown in either order, the two images look the same or too alike to judge. "
                "Use whichever you like, or try images that differ more.")
    if verdict.choice == "inconclusive":
        return ("The choice changed when the two images changed places, and neither has a clear "
                "lead. Treat them as equals, or compare them in a live test.")
    percent = f"{verdict.confidence:.0%}"
    if verdict.confidence >= 0.9:
        return f"Very sure: {percent} for {verdict.choice}."
    if verdict.confidence >= 0.75:
        return f"Fairly sure: {percent} for {verdict.choice}."
    if verdict.confidence >= 0.6:
        return f"Leaning to {verdict.choice}: {percent}."
    return f"Only just {verdict.choice}: {percent}, hardly more than a coin toss."


def agreement(verdict: Verdict) -> str:
    """Whether both presentation orders say the same."""
    if verdict.answers.click == "tie":
        return "Seen from the pixels alone; there was nothing to judge."
    if len(verdict.orders) < 2:
        return "Judged in one order only."
    if verdict.consistent:
        return "Judged twice, with the images in either order: same choice both times."
    return "Judged twice, with the images in either order: the choice was not the same."


def overruled(verdict: Verdict) -> str:
    """Where the evidence decided against the language model, that it did; else nothing."""
    if not verdict.overruled:
        return ""
    other = "B" if verdict.choice == "A" else "A"
    return (f"What was measured decided: the language model alone preferred {other}, "
            "and its reasons may argue for it.")


def table(verdict: Verdict) -> list[Row]:
    """The protocol's questions with judgement and reason, in the order in which they are asked."""
    answers = verdict.answers.model_dump()
    others = [order.answers.model_dump() for order in verdict.orders]
    reasons = dict(lines(verdict.reasoning))
    rows = []
    for question in QUESTIONS:
        answer = answers[question.key]
        reason = reasons.get(question.key, "")
        differing = [other[question.key] for other in others if other[question.key] != answer]
        rows.append(Row(question.ask, _SAID[answer], _LEANS.get(answer),
                        _capital(reason),
                        _SAID[differing[0]] if differing else None,
                        cited_words(question.key, verdict.evidence)))
    return rows


def lines(reasoning: str) -> list[tuple[str, str]]:
    """Reasoning, finished or still being written, as (question key, facts) pairs.

    The judgement at a line's end and the evidence that it cites are cut off: the page shows both
    in words beside the facts.
    """
    said = []
    for line in reasoning.splitlines():
        key, colon, facts = line.strip().partition(":")
        if not colon or key not in SHORT:
            key, facts = "", line
        if key:
            facts = prose(facts.strip())
        if key == "click":
            facts = _KEYS.sub(lambda name: SHORT[name[0]].lower().removeprefix("fits "), facts)
        said.append((key, re.sub(r"\s*\b(?:A[<=>]B|yes|no)\s*$", "", facts).strip().lstrip(". ")))
    return [(key, facts) for key, facts in said if key or facts]


def seen(image: ImageEvidence) -> tuple[list[Seen], str]:
    """An image's degrees as meters, and what it looks like."""
    meters = [Seen(_capital(_PROPERTY[name].label), degree / TOP,
                   f"0: {_PROPERTY[name].low}; {TOP}: {_PROPERTY[name].high}")
              for name, degree in image.degrees.items()]
    return meters, image.class_name


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
