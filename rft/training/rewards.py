"""Score completions by pure functions in 0..1: format, accuracy, coherence, swap consistency.

Each reward is a few lines on top of the one parser. What does not parse, truncated completions
included, gets 0 from every reward. Rewards read the completion and the row's labels, never title,
queries or images: nothing that a user types can pay. Which rewards there are follows Creative4U
(arXiv 2508.12628, the abstract names none); their form and weights are our choice.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from creative4u.errors import VerdictParseError
from creative4u.schema import ProtocolAnswers
from creative4u.selector.protocol.completion import parse
from creative4u.selector.protocol.questions import COMPARED, KEYS, MIRROR

Completions = Sequence[Sequence[Mapping[str, str]]]  # chat messages, one a completion
Reward = Callable[..., list[float | None]]
SIGN = {"A>B": 1.0, "A=B": 0.0, "A<B": -1.0, "A": 1.0, "B": -1.0}


def answers_of(completion: Sequence[Mapping[str, str]]) -> ProtocolAnswers | None:
    """The protocol answers of one completion, or None where it does not parse."""
    try:
        return parse(completion[0]["content"]).answers
    except VerdictParseError:
        return None


def format(completions: Completions, **columns: Any) -> list[float | None]:
    """1 for what the parser reads."""
    return [float(answers_of(one) is not None) for one in completions]


def accuracy(completions: Completions, label: Sequence[str], **columns: Any) -> list[float | None]:
    """1 where the choice is the label of the shown order."""
    told = [answers_of(one) for one in completions]
    return [float(a is not None and a.click == right) for a, right in zip(told, label, strict=True)]


def answers(
    completions: Completions, answers: Sequence[str | None], **columns: Any
) -> list[float | None]:
    """The share of the nine protocol answers that are right; None where the row knows none."""
    scores: list[float | None] = []
    for one, due in zip(completions, answers, strict=True):
        told = answers_of(one)
        if due is None:
            scores.append(None if told is not None else 0.0)
            continue
        right = json.loads(due)
        said = {} if told is None else told.model_dump()
        scores.append(sum(said.get(key) == right[key] for key in KEYS[:-1]) / (len(KEYS) - 1))
    return scores


def fairness(
    completions: Completions,
    label: Sequence[str],
    pair_id: Sequence[str],
    order: Sequence[str],
    **columns: Any,
) -> list[float | None]:
    """For a right choice, how often the other order of the pair was right too; 0 for a wrong one.

    None where the batch holds no completion of the other order. Being consistently wrong pays
    nothing, so the reward cannot be had by always choosing the same place.
    """
    right = accuracy(completions, label)
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for key, outcome in zip(zip(pair_id, order, strict=True), right, strict=True):
        shares[key].append(outcome or 0.0)
    scores: list[float | None] = []
    for pair, way, outcome in zip(pair_id, order, right, strict=True):
        other = shares.get((pair, way[::-1]))
        scores.append(None if other is None else (outcome or 0.0) * sum(other) / len(other))
    return scores


def coherence_with(weights: Mapping[str, float]) -> Reward:
    """The reward of protocol answers that support the choice, weighed by `coherence_weights`.

    It is the probability of the choice given the seven comparisons, sigmoid(+-sum of w x): one half
    where all are equal, near 0 where they speak against the choice.
    """

    def coherence(completions: Completions, **columns: Any) -> list[float | None]:
        scores: list[float | None] = []
        for one in completions:
            told = answers_of(one)
            if told is None:
                scores.append(0.0)
                continue
            said = told.model_dump()
            lean = sum(weights[key] * SIGN[said[key]] for key in COMPARED)
            scores.append(1 / (1 + math.exp(-SIGN[told.click] * lean)))
        return scores

    return coherence


def swap_consistency(
    completions: Completions, pair_id: Sequence[str], order: Sequence[str]
) -> float:
    """How likely a completion of either order of a pair chooses the same creative; a mean of pairs.

    With p and q the shares of a pair's two orders that choose its own A: p q + (1 - p)(1 - q).
    Only what parses counts; nan where no pair is there in both orders.
    """
    chose_a: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for one, pair, way in zip(completions, pair_id, order, strict=True):
        told = answers_of(one)
        if told is not None:
            own = told.click if way == "AB" else MIRROR[told.click]
            chose_a[pair][way].append(own == "A")
    agreed = []
    for ways in chose_a.values():
        if len(ways) == 2:
            p, q = (sum(chosen) / len(chosen) for chosen in ways.values())
            agreed.append(p * q + (1 - p) * (1 - q))
    return sum(agreed) / len(agreed) if agreed else float("nan")
