"""Judge requests (two images, title, queries): a Verdict each, both orders in one batch."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL.Image import Image

from creative4u.errors import Creative4UError
from creative4u.schema import Arithmetic, ImageEvidence, Order, PairEvidence, Side, Verdict
from creative4u.selector.config import JudgeConfig
from creative4u.selector.observer import Extractor, Observer
from creative4u.selector.protocol.backend import Backend, OnText, Prompt
from creative4u.selector.protocol.completion import parse, swap_sides
from creative4u.selector.protocol.prompt import clean_request, comparison_messages
from creative4u.selector.same_picture import Likeness, likeness
from creative4u.selector.verdict import SIDES, Judged, tie, verdict

BOTH: tuple[Order, Order] = ("AB", "BA")


@dataclass(frozen=True)
class PairRequest:
    """Two creatives of one product, RGB, with the words that judge them."""

    image_a: Image
    image_b: Image
    title: str
    queries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """A streamed event: the evidence on one image."""

    side: Side
    evidence: ImageEvidence


@dataclass(frozen=True)
class Reasoning:
    """A streamed event: the whole reasoning so far in one order, in the user's own A and B."""

    order: Order
    text: str


OnEvent = Callable[[Observed | Reasoning], None]


class Selects(Protocol):
    """What a tournament and a batch need of a judge."""

    model: str

    def select_many(
        self, requests: Sequence[PairRequest]
    ) -> Sequence[Verdict | Creative4UError]: ...


class Judge:
    """A backend, what is shown to it, and how its two orders become one verdict. Thread-safe."""

    def __init__(
        self,
        backend: Backend,
        config: JudgeConfig,
        extractor: Extractor,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.backend = backend
        self.arithmetic = arithmetic
        self.config = config
        self.model = backend.name
        self._observer = Observer(backend, config, extractor)
        self._lock = threading.Lock()  # not held while the backend completes

    def select(
        self, request: PairRequest, both_orders: bool = True, on_event: OnEvent | None = None
    ) -> Verdict:
        """Judge one pair; raises Creative4UError where it cannot be judged."""
        outcome = self.select_many([request], both_orders, on_event)[0]
        if isinstance(outcome, Creative4UError):
            raise outcome
        return outcome

    def stream(self, request: PairRequest) -> Iterator[Observed | Reasoning | Verdict]:
        """Judge one pair and yield what is seen and written on the way; the Verdict comes last."""
        events: queue.Queue[Observed | Reasoning | Verdict | BaseException] = queue.Queue()

        def work() -> None:
            try:
                events.put(self.select(request, on_event=events.put))
            except BaseException as error:  # handed to the reader, who raises it
                events.put(error)

        threading.Thread(target=work, daemon=True).start()
        while True:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, Verdict):
                return

    def select_many(
        self,
        requests: Sequence[PairRequest],
        both_orders: bool = True,
        on_event: OnEvent | None = None,
    ) -> list[Verdict | Creative4UError]:
        """Judge pairs in one batch; a pair that fails is its own error, the others go on."""
        return self._judge(requests, BOTH if both_orders else BOTH[:1], on_event)

    def evidence(self, request: PairRequest) -> PairEvidence | None:
        """The evidence on a pair, as its prompts state it; None in the paper's single pass."""
        title, queries = self._words(request)
        with self._lock:
            self._observer.observe([request.image_a, request.image_b])
            return self._observer.pair(request.image_a, request.image_b, title, queries)

    def prompts(self, request: PairRequest, orders: Sequence[Order] = BOTH) -> list[Prompt]:
        """The judge's own prompts of one pair, an order each; training rows are made of these."""
        return self._prompts(request, orders, self.evidence(request))

    def tie(self, request: PairRequest, orders: Sequence[Order] = BOTH) -> Verdict | None:
        """The verdict on a pair of one picture, without asking the model; None for any other."""
        began = time.perf_counter()
        alike = likeness(request.image_a, request.image_b)
        if alike is None:
            return None
        evidence = self.evidence(request)
        return tie(alike, orders, self.model, time.perf_counter() - began, evidence)

    def _judge(
        self, requests: Sequence[PairRequest], orders: Sequence[Order], on_event: OnEvent | None
    ) -> list[Verdict | Creative4UError]:
        began = time.perf_counter()
        failed: dict[int, Creative4UError] = {}
        alike: dict[int, Likeness] = {}
        known: dict[int, PairEvidence | None] = {}
        prompts: list[Prompt] = []
        asked: list[tuple[int, Order]] = []
        with self._lock:
            self._observer.observe([image for r in requests for image in (r.image_a, r.image_b)])
        for number, request in enumerate(requests):
            try:
                known[number] = evidence = self.evidence(request)
            except Creative4UError as error:
                failed[number] = error
                continue
            if (found := likeness(request.image_a, request.image_b)) is not None:
                alike[number] = found
                continue
            prompts += self._prompts(request, orders, evidence)
            asked += [(number, order) for order in orders]
        if on_event is not None:
            for shown in filter(None, known.values()):
                for side in SIDES:
                    on_event(Observed(side, shown.of(side)))
        completions = self.backend.complete(prompts, _told(asked, on_event)) if prompts else []
        judged: dict[int, list[Judged]] = {number: [] for number, _ in asked}
        for (number, order), prompt, completion in zip(asked, prompts, completions, strict=True):
            try:
                if isinstance(completion, Creative4UError):
                    raise completion
                judged[number].append(Judged(
                    order, parse(completion.text), completion.logit_a, prompt.evidence_log_odds
                ))  # fmt: skip
            except Creative4UError as error:
                failed.setdefault(number, error)
        seconds = (time.perf_counter() - began) / max(1, len(requests))
        outcomes: list[Verdict | Creative4UError] = []
        made = self.arithmetic
        for number in range(len(requests)):
            if number in failed:
                outcomes.append(failed[number])
            elif number in alike:
                outcomes.append(tie(alike[number], orders, self.model, seconds, known[number]))
            else:
                outcomes.append(
                    verdict(judged[number], self.config, self.model, seconds, known[number], made)
                )
        return outcomes

    def _words(self, request: PairRequest) -> tuple[str, tuple[str, ...]]:
        return clean_request(request.title, request.queries, self.backend.special_tokens)

    def _prompts(
        self, request: PairRequest, orders: Sequence[Order], evidence: PairEvidence | None
    ) -> list[Prompt]:
        title, queries = self._words(request)
        made = []
        for order in orders:
            images = (request.image_a, request.image_b)
            shown = evidence
            if order == "BA":
                images, shown = images[::-1], evidence.swapped() if evidence else None
            messages = comparison_messages(title, queries, shown, self.config.instructions)
            made.append(Prompt(messages, images, shown))
        return made


def _told(asked: list[tuple[int, Order]], on_event: OnEvent | None) -> OnText | None:
    """Turn a backend's raw text so far into events in the user's own A and B."""
    if on_event is None:
        return None

    def on_text(row: int, text: str) -> None:
        order = asked[row][1]
        shown = text.removeprefix("<think>\n").partition("</think>")[0]
        on_event(Reasoning(order, swap_sides(shown) if order == "BA" else shown))

    return on_text
