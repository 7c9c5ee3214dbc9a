"""Parse a completion into answers and reasoning (VerdictParseError where it is none), and back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from creative4u.errors import VerdictParseError
from creative4u.schema import ProtocolAnswers
from creative4u.selector.protocol.questions import MIRROR, QUESTIONS, mirror

_COMPLETION = re.compile(
    r"\s*<think>\n?(?P<think>.*?)\n?</think>\s*<answer>(?P<side>[AB])</answer>\s*", re.DOTALL
)
_MARKUP = re.compile(r"</?(think|answer|image)>")
_SIDE = re.compile(r"\b[AB][<=>][AB]\b|\b[AB]\b")
_OF_SIDE = re.compile(r"[AB]\b")
_GAP = r"[a-z_]+ [AB]\+\d+"
_CITED = re.compile(r"\b[AB]\+\d+")
_CITATION = re.compile(rf"^{_GAP}( {_GAP})*(; |(?=\. )|$)")
_TOTAL = re.compile(rf"; {_GAP}$")
_BEGUN = re.compile(rf"^({_GAP} )*[a-z_]+( [AB](\+\d*)?)?$")  # still being written


@dataclass(frozen=True)
class Parsed:
    """A completion that follows the protocol; `reasoning` is its ten lines without the tags."""

    answers: ProtocolAnswers
    reasoning: str


def parse(completion: str) -> Parsed:
    """Read one completion: ten lines `key: facts. judgement` in order, then the answer.

    The `click` line has facts only: its judgement is the answer itself.
    Raises VerdictParseError with the first thing that is wrong.
    """
    match = _COMPLETION.fullmatch(completion)
    if match is None:
        raise VerdictParseError(
            f"got {completion[:60]!r}...; "
            "allowed is <think>ten lines</think><answer>A or B</answer>"
        )
    if markup := _MARKUP.search(match["think"]):
        raise VerdictParseError(
            f"got {markup[0]} inside the reasoning; it may stand only around it"
        )
    lines = match["think"].split("\n")
    if len(lines) != len(QUESTIONS):
        raise VerdictParseError(
            f"got {len(lines)} lines of reasoning; the protocol has {len(QUESTIONS)}"
        )
    answers = {"click": match["side"]}
    for line, question in zip(lines, QUESTIONS, strict=True):
        key, colon, said = line.partition(": ")
        if key != question.key or not colon or not said.strip():
            raise VerdictParseError(f"got {line[:60]!r}; line {question.key!r} was due")
        if question.key == "click":
            continue
        judgement = said.rpartition(" ")[2]
        if judgement not in question.allowed:
            raise VerdictParseError(
                f"got {judgement[:20]!r} for {key}; allowed is {', '.join(question.allowed)}"
            )
        answers[key] = judgement
    return Parsed(ProtocolAnswers.model_validate(answers), "\n".join(lines))


def prose(said: str) -> str:
    """A line's own words, without the evidence that it cites first (or, of `click`, last).

    The numbers are never read from here; `schema.PairEvidence` has them.
    """
    own = _TOTAL.sub("", _CITATION.sub("", said))
    return "" if _BEGUN.match(own) else own


def complete(reasoning: str, choice: str) -> str:
    """The completion text of ten lines of reasoning and a choice; the inverse of `parse`."""
    return f"<think>\n{reasoning}\n</think><answer>{choice}</answer>"


def swap_sides(reasoning: str) -> str:
    """The same reasoning with A and B exchanged: `A>B` becomes `A<B`, and `A is` becomes `B is`.

    Where a line tells of A first and then of B, so does the swapped one; where it cites a gap
    (`blur B+6`), the side that has more of it stays first. Its own inverse.
    """
    return "\n".join(_swapped(line) for line in reasoning.split("\n"))


def _swapped(line: str) -> str:
    turned = _SIDE.sub(lambda match: MIRROR[match[0]], line)
    key, colon, said = turned.partition(": ")
    facts, stop, judgement = said.rpartition(". ")
    clauses = (facts or judgement).split("; ")
    sides = [place for place, clause in enumerate(clauses) if _OF_SIDE.match(clause)]
    if len(sides) == 2 and (key == "click" or not _CITED.search(line)):
        first, second = sides
        clauses[first], clauses[second] = clauses[second], clauses[first]
    return key + colon + "; ".join(clauses) + (stop + judgement if facts else "")


def mirrored(parsed: Parsed) -> Parsed:
    """What the same judge would have said of the two images the other way round."""
    return Parsed(mirror(parsed.answers), swap_sides(parsed.reasoning))
