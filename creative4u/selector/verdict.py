"""Join two parsed completions, one an order, into a Verdict in the user's own A and B."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from creative4u.schema import (
    Arithmetic,
    Choice,
    Order,
    OrderVerdict,
    PairEvidence,
    ProtocolAnswers,
    Side,
    Verdict,
)
from creative4u.selector.config import JudgeConfig
from creative4u.selector.protocol.completion import Parsed, mirrored
from creative4u.selector.protocol.prompt import image_text
from creative4u.selector.protocol.questions import COMPARED, KEYS
from creative4u.selector.same_picture import Likeness

LogOdds = TypeVar("LogOdds", float, npt.NDArray[np.float64])
SIDES: tuple[Side, Side] = ("A", "B")

ROUNDING = 0.05  # by which probability_a may differ between CPUs, which round otherwise


@dataclass(frozen=True)
class Judged:
    """One order's parsed completion, and both experts' log odds of the image shown first."""

    order: Order
    parsed: Parsed
    lm: float
    evidence: float = 0.0


def fuse(lm: LogOdds, evidence: LogOdds, config: JudgeConfig) -> LogOdds:
    """Log odds of the image shown first from both experts' (log-linear pooling, Hinton 2002).

    The only place where they are joined: judging, calibration and the report call it.
    """
    own: LogOdds = (lm - config.position_bias) / config.lm_scale
    return own + config.evidence_weight * evidence


def order_verdict(judged: Judged, config: JudgeConfig) -> OrderVerdict:
    """One order in the user's own A and B: what was shown second as B is A in order BA.

    Where the config corrects a position bias or adds the evidence, the choice is the corrected one.
    Question 1 is not the model's: pairs of one picture are settled before it is asked.
    """
    turned = judged.order == "BA"
    sign = -1.0 if turned else 1.0
    parsed = mirrored(judged.parsed) if turned else judged.parsed
    fused = sign * fuse(judged.lm, judged.evidence, config)
    lm_side: Side = "A" if sign * (judged.lm - config.position_bias) > 0 else "B"
    answers = parsed.answers.model_copy(update={"same_image": "no"})
    if config.position_bias or config.evidence_weight:
        answers = answers.model_copy(update={"click": "A" if fused > 0 else "B"})
    return OrderVerdict(
        order=judged.order,
        choice=answers.click,
        probability_a=1 / (1 + math.exp(-max(-60.0, min(60.0, fused)))),
        answers=answers,
        reasoning=parsed.reasoning,
        log_odds_lm=sign * judged.lm,
        log_odds_evidence=sign * judged.evidence + 0.0,
        log_odds=fused,
        overruled=bool(config.evidence_weight) and lm_side != answers.click,
    )


def verdict(
    judged: Sequence[Judged],
    config: JudgeConfig,
    model: str,
    seconds: float,
    evidence: PairEvidence | None = None,
    arithmetic: Arithmetic | None = None,
) -> Verdict:
    """Join one or two orders: probability_a is the mean of theirs.

    Too similar in every order: a tie. The orders disagree and the mean is within the margin of one
    half, or the mean is within ROUNDING of it, where another CPU might choose the other side:
    inconclusive. The reasoning and answers shown are those of the order that is surer of the
    choice.
    """
    orders = tuple(order_verdict(one, config) for one in judged)
    probability = sum(order.probability_a for order in orders) / len(orders)
    consistent = len({order.choice for order in orders}) == 1
    side: Side = "A" if probability > 0.5 else "B"
    if consistent:
        side = "A" if orders[0].choice == "A" else "B"
    choice: Choice = side
    if all(order.answers.too_similar == "yes" for order in orders):
        choice = "tie"
    elif abs(probability - 0.5) < (ROUNDING if consistent else max(ROUNDING, config.margin)):
        choice = "inconclusive"
    agreeing = [order for order in orders if order.choice == side]
    shown = max(agreeing, key=lambda order: abs(order.probability_a - 0.5))
    own = fmean((-1 if one.order == "BA" else 1) * (one.lm - config.position_bias)
                for one in judged)  # fmt: skip
    return Verdict(
        choice=choice,
        confidence=max(probability, 1 - probability),
        probability_a=probability,
        consistent=consistent,
        answers=shown.answers,
        observations=_observations(evidence),
        evidence=evidence,
        reasoning=shown.reasoning,
        orders=orders,
        model=model,
        arithmetic=arithmetic,
        seconds=seconds,
        log_odds_lm=fmean(order.log_odds_lm or 0.0 for order in orders),
        log_odds_evidence=fmean(order.log_odds_evidence or 0.0 for order in orders),
        log_odds=fmean(order.log_odds or 0.0 for order in orders),
        overruled=bool(config.evidence_weight) and choice == side and (own > 0) != (side == "A"),
    )


def tie(
    likeness: Likeness,
    orders: Sequence[Order],
    model: str,
    seconds: float,
    evidence: PairEvidence | None = None,
) -> Verdict:
    """The verdict on a pair of one picture; no model is asked, and neither order prefers a side."""
    same = likeness == "same"
    told = {
        "same_image": "one and the same picture. yes" if same
        else "the same picture, saved again or resized. no",
        "too_similar": "hardly any difference. yes",
        "click": "nothing between them",
    }  # fmt: skip
    reasoning = "\n".join(f"{key}: {told.get(key, 'nothing between them. A=B')}" for key in KEYS)
    answers = ProtocolAnswers.model_validate(
        {"same_image": "yes" if same else "no", "too_similar": "yes", "click": "tie"}
        | dict.fromkeys(COMPARED, "A=B")
    )
    found = evidence.log_odds if evidence is not None else 0.0
    shared = {"answers": answers, "reasoning": reasoning, "probability_a": 0.5,
              "log_odds_evidence": found, "choice": "tie"}  # fmt: skip
    return Verdict.model_validate(
        shared
        | {
            "confidence": 0.5, "consistent": True, "model": model, "seconds": seconds,
            "observations": _observations(evidence), "evidence": evidence,
            "orders": [shared | {"order": order} for order in orders],
        }
    )  # fmt: skip


def _observations(evidence: PairEvidence | None) -> dict[Side, str] | None:
    return None if evidence is None else {side: image_text(evidence.of(side)) for side in SIDES}
