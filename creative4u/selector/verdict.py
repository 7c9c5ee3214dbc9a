"""Two parsed completions, one an order, in; a Verdict in the user's own A and B out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from creative4u.schema import Arithmetic, Choice, Order, OrderVerdict, Side, Verdict
from creative4u.selector.config import JudgeConfig
from creative4u.selector.parser import Parsed, mirrored

ROUNDING = 0.05  # by which probability_a may differ between CPUs, which round otherwise


@dataclass(frozen=True)
class Judged:
    """One order's parsed completion and the log odds of the image shown first.

    `weighed_first` is what the weighed differences come to for it, log odds too.
    """

    order: Order
    parsed: Parsed
    logit_first: float
    weighed_first: float = 0.0


def order_verdict(judged: Judged, config: JudgeConfig) -> OrderVerdict:
    """One order told in the user's own A and B: what was shown second as B is A in order BA.

    Where the config takes off a lean to the first place, or adds what the weighed differences come
    to, the choice is the corrected one.
    """
    turned = judged.order == "BA"
    parsed = mirrored(judged.parsed) if turned else judged.parsed
    logit_first = (judged.logit_first - config.first_lean) / config.temperature
    logit_first += config.prior * judged.weighed_first
    logit_a = -logit_first if turned else logit_first
    answers = parsed.answers
    if config.first_lean or config.prior:
        answers = answers.model_copy(update={"click": "A" if logit_a > 0 else "B"})
    return OrderVerdict(
        order=judged.order,
        choice=answers.click,
        probability_a=1 / (1 + math.exp(-max(-60.0, min(60.0, logit_a)))),
        answers=answers,
        reasoning=parsed.reasoning,
    )


def verdict(
    orders: list[Judged],
    config: JudgeConfig,
    model: str,
    seconds: float,
    observations: dict[Side, str] | None = None,
    arithmetic: Arithmetic | None = None,
) -> Verdict:
    """Join one or two orders: probability_a is their mean (DESIGN section 2).

    Same image, or too similar, in every order: a tie. The orders disagree and the mean is within
    the margin of one half, or the mean is within ROUNDING of it, where another CPU might choose the
    other side: inconclusive. The reasoning and answers shown are those of the order
    that is surer of the choice.
    """
    told = tuple(order_verdict(judged, config) for judged in orders)
    probability = sum(order.probability_a for order in told) / len(told)
    consistent = len({order.choice for order in told}) == 1
    side: Side = "A" if probability > 0.5 else "B"
    if consistent:
        side = told[0].choice
    choice: Choice = side
    alike = all("yes" in (o.answers.same_image, o.answers.too_similar) for o in told)
    if alike:
        choice = "tie"
    elif abs(probability - 0.5) < (ROUNDING if consistent else max(ROUNDING, config.margin)):
        choice = "inconclusive"
    agreeing = [order for order in told if order.choice == side]
    shown = max(agreeing, key=lambda order: abs(order.probability_a - 0.5))
    return Verdict(
        choice=choice,
        confidence=max(probability, 1 - probability),
        probability_a=probability,
        consistent=consistent,
        answers=shown.answers,
        observations=observations,
        reasoning=shown.reasoning,
        orders=told,
        model=model,
        arithmetic=arithmetic,
        seconds=seconds,
    )
