"""Define the Creative Evaluation Protocol: ten questions, their answers and mirror images.

Source: Creative4U (arXiv 2508.12628); the content of the protocol is known from a third-party note,
the wording is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from creative4u.schema import Comparison, ProtocolAnswers, Side, YesNo

YES_NO: tuple[str, ...] = get_args(YesNo)
COMPARISONS: tuple[str, ...] = get_args(Comparison)
SIDES: tuple[str, ...] = get_args(Side)

MIRROR = {"A": "B", "B": "A", "A>B": "A<B", "A<B": "A>B"} | {
    same: same for same in ("A=B", "yes", "no", "tie")
}


@dataclass(frozen=True)
class Question:
    """One question of the protocol: its key in completions, and its wording for people."""

    key: str
    ask: str
    allowed: tuple[str, ...]


QUESTIONS = (
    Question("same_image", "Are both the same image?", YES_NO),
    Question("too_similar", "Are they too similar to tell apart?", YES_NO),
    Question("query_hit", "Which one meets the shoppers' queries better?", COMPARISONS),
    Question("title_hit", "Which one shows what the title says better?", COMPARISONS),
    Question("text", "Whose text (selling points, price, call to action) helps more?", COMPARISONS),
    Question("props", "Whose models and props help more?", COMPARISONS),
    Question("layout", "Whose layout (borders, picture-in-picture) is better?", COMPARISONS),
    Question("subject", "Who shows the product better: size, angle, wholeness?", COMPARISONS),
    Question("background", "Whose background is better: harmony, scene, calm?", COMPARISONS),
    Question("click", "Which one will be clicked?", SIDES),
)
KEYS = tuple(question.key for question in QUESTIONS)
COMPARED = tuple(question.key for question in QUESTIONS if question.allowed == COMPARISONS)


def mirror(answers: ProtocolAnswers) -> ProtocolAnswers:
    """The same answers told with A and B exchanged; `mirror(mirror(x)) == x`."""
    return ProtocolAnswers.model_validate(
        {key: MIRROR[value] for key, value in answers.model_dump().items()}
    )


def summary(answers: dict[str, str]) -> str:
    """The facts of the `click` line: who leads where, from the seven comparisons.

    The line weighs nothing and names no choice, so that the probability of the answer token after
    it is still the model's own doubt (our choice).
    """
    leads = {
        side: [key for key in COMPARED if answers[key] == f"A{sign}B"]
        for side, sign in (("A", ">"), ("B", "<"))
    }
    said = [f"{side} leads on {', '.join(keys)}" for side, keys in leads.items() if keys]
    return "; ".join(said) or "nothing between them"
