"""A judge with the real one's interface and no model: it chooses the image with more contrast."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from PIL import Image, ImageStat

from creative4u.errors import Creative4UError, TruncatedError
from creative4u.schema import (
    ImageEvidence,
    OrderVerdict,
    PairEvidence,
    ProtocolAnswers,
    Side,
    Verdict,
)
from creative4u.selector.judge import Observed, PairRequest, Reasoning
from creative4u.selector.protocol.questions import KEYS

FACTS = {"title_hit": "{0} shows the whole product; {1} hides it",
         "query_hit": "{0} has what is searched for; {1} has little of it",
         "subject": "{0} is large and complete; {1} is small",
         "click": "{0} leads on title_hit, query_hit, subject"}


class FakeJudge:
    """Deterministic; a title with "held" stops half-way in its reasoning until `gate` is set."""

    model = "fake"

    def __init__(self) -> None:
        self.gate = threading.Event()

    def select_many(
            self, requests: Sequence[PairRequest]) -> list[Verdict | Creative4UError]:
        outcomes: list[Verdict | Creative4UError] = []
        for request in requests:
            try:
                *_, last = self.stream(request)
                assert isinstance(last, Verdict)
                outcomes.append(last)
            except Creative4UError as error:
                outcomes.append(error)
        return outcomes

    def stream(self, request: PairRequest) -> Iterator[Observed | Reasoning | Verdict]:
        if "runs out of tokens" in request.title:
            raise TruncatedError("the model ran out of tokens before its answer")
        if "breaks" in request.title:
            raise RuntimeError("a secret detail")
        contrast = {"A": _contrast(request.image_a), "B": _contrast(request.image_b)}
        of_a, of_b = (ImageEvidence(
            degrees={"size": min(9.0, value / 10), "text": 0.0, "blur": 1.2},
            class_name="handbag", class_probability=0.4) for value in contrast.values())
        yield Observed("A", of_a)
        yield Observed("B", of_b)
        better: Side = "A" if contrast["A"] >= contrast["B"] else "B"
        said = reasoning(better)
        words = said.split(" ")
        for count in range(1, len(words) + 1):
            for order in ("AB", "BA"):
                yield Reasoning(order, " ".join(words[:count]))
            while "held" in request.title and count == len(words) // 2 and not self.gate.wait(0.1):
                yield Reasoning("AB", " ".join(words[:count]))
        yield verdict(better, evidence=PairEvidence(A=of_a, B=of_b))


def reasoning(better: Side) -> str:
    """Ten lines in the parser's form, in favour of one side."""
    sides = (better, "B" if better == "A" else "A")
    sign = "A>B" if better == "A" else "A<B"
    lines = []
    for key in KEYS:
        facts = FACTS.get(key, "nothing between them").format(*sides)
        judgement = {"same_image": " no", "too_similar": " no", "click": ""}.get(
            key, f" {sign}" if key in FACTS else " A=B")
        lines.append(f"{key}: {facts}.{judgement}")
    return "\n".join(lines)


def verdict(better: Side, probability: float = 0.84,
            evidence: PairEvidence | None = None) -> Verdict:
    """A consistent verdict for one side."""
    sign = "A>B" if better == "A" else "A<B"
    answers = ProtocolAnswers(same_image="no", too_similar="no", query_hit=sign, title_hit=sign,
                              text="A=B", props="A=B", layout="A=B", subject=sign,
                              background="A=B", click=better)
    probability_a = probability if better == "A" else 1 - probability
    orders = tuple(OrderVerdict(order=order, choice=better, probability_a=probability_a,
                                answers=answers, reasoning=reasoning(better))
                   for order in ("AB", "BA"))
    return Verdict(choice=better, confidence=probability, probability_a=probability_a,
                   consistent=True, answers=answers, evidence=evidence,
                   reasoning=reasoning(better), orders=orders, model="fake", seconds=1.5)


def _contrast(image: Image.Image) -> float:
    return float(ImageStat.Stat(image.convert("L")).stddev[0])
