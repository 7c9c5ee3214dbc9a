"""Requests (two images, title, queries) in, Verdicts out; both orders of each in one batch."""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL.Image import Image

from creative4u.errors import Creative4UError
from creative4u.images import image_hash
from creative4u.schema import Arithmetic, Order, Side, Verdict
from creative4u.selector.backend import Backend, OnText, Prompt
from creative4u.selector.config import JudgeConfig
from creative4u.selector.differences import differences, weighed
from creative4u.selector.observations import TOP, Match, Observation, Shown, shown
from creative4u.selector.parser import parse, swap_sides
from creative4u.selector.prompt import clean_request, comparison_messages
from creative4u.selector.verdict import Judged, verdict
from creative4u.selector.words import met

SEEN = 4096  # observations kept, an image each
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
    """A streamed event: what was seen in one image."""

    side: Side
    text: str


@dataclass(frozen=True)
class Reasoning:
    """A streamed event: the whole reasoning so far in one order, in the user's own A and B."""

    order: Order
    text: str


OnEvent = Callable[[Observed | Reasoning], None]


class Evidence(Protocol):
    """What is measured and recognised beside the model, from `creative4u.selector.evidence`."""

    def seen(
        self, images: Sequence[Image], probe: bool
    ) -> list[tuple[dict[str, float], dict[str, float]]]: ...

    def looks_like(self, images: Sequence[Image]) -> list[str]: ...

    def read(self, images: Sequence[Image]) -> list[tuple[str, ...]]: ...

    def match(self, image: Image, title: str, queries: tuple[str, ...]) -> Match: ...


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
        evidence: Evidence,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.backend = backend
        self.arithmetic = arithmetic
        self.config = config
        self.evidence = evidence
        self.model = backend.name
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, Observation] = OrderedDict()

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

    def prompts(self, request: PairRequest, orders: Sequence[Order] = BOTH) -> list[Prompt]:
        """The judge's own prompts of one pair, an order each; training rows are made of these."""
        return self.asked(request, orders)[0]

    def asked(
        self, request: PairRequest, orders: Sequence[Order] = BOTH
    ) -> tuple[list[Prompt], dict[Side, str] | None]:
        """The prompts of one pair, and the facts of each side that stand in them."""
        with self._lock:
            self._observe([request.image_a, request.image_b])
            return self._ask(request, orders)

    def shown(self, request: PairRequest) -> dict[Side, Shown] | None:
        """What is told of each side, degrees unrounded; None in the paper's single pass."""
        title, queries = clean_request(request.title, request.queries, self.backend.special_tokens)
        with self._lock:
            self._observe([request.image_a, request.image_b])
            return self._facts(request, title, queries)

    def apart(self, first: Shown, second: Shown) -> str:
        """What tells two images apart, as the prompt has it: weighed where there are weights."""
        if not self.config.weights:
            return differences(first.text, second.text)
        return weighed(first.degrees, second.degrees, self.config.weights)

    def _judge(
        self, requests: Sequence[PairRequest], orders: Sequence[Order], on_event: OnEvent | None
    ) -> list[Verdict | Creative4UError]:
        began = time.perf_counter()
        failed: dict[int, Creative4UError] = {}
        facts: dict[int, dict[Side, str] | None] = {}
        prompts: list[Prompt] = []
        asked: list[tuple[int, Order]] = []
        with self._lock:  # not while the backend completes: one behind servers takes many calls
            self._observe([image for r in requests for image in (r.image_a, r.image_b)])
            for number, request in enumerate(requests):
                try:
                    made, facts[number] = self._ask(request, orders)
                except Creative4UError as error:
                    failed[number] = error
                    continue
                prompts += made
                asked += [(number, order) for order in orders]
        if on_event is not None:
            for seen in facts.values():
                for side, text in (seen or {}).items():
                    on_event(Observed(side, text))
        completions = self.backend.complete(prompts, _told(asked, on_event)) if prompts else []
        judged: dict[int, list[Judged]] = {number: [] for number in facts}
        for (number, order), prompt, completion in zip(asked, prompts, completions, strict=True):
            try:
                if isinstance(completion, Creative4UError):
                    raise completion
                judged[number].append(
                    Judged(order, parse(completion.text), completion.logit_a, prompt.weighed)
                )
            except Creative4UError as error:
                failed.setdefault(number, error)
        seconds = (time.perf_counter() - began) / max(1, len(requests))
        return [
            failed[number]
            if number in failed
            else verdict(
                judged[number], self.config, self.model, seconds, facts[number], self.arithmetic
            )
            for number in range(len(requests))
        ]

    def _ask(
        self, request: PairRequest, orders: Sequence[Order]
    ) -> tuple[list[Prompt], dict[Side, str] | None]:
        """One prompt an order, and the facts that stand in them; raises InputError."""
        title, queries = clean_request(request.title, request.queries, self.backend.special_tokens)
        seen = self._facts(request, title, queries)
        images = {"A": request.image_a, "B": request.image_b}
        made = []
        for first, second in orders:
            told, apart = None, None
            if seen is not None:
                of_first, of_second = seen[first], seen[second]  # type: ignore[index]
                told = (of_first.text, of_second.text)
                apart = self.apart(of_first, of_second) if self.config.weights else None
            messages = comparison_messages(title, queries, told, self.config.instructions, apart)
            made.append(Prompt(messages, (images[first], images[second])))
        return made, {side: told.text for side, told in seen.items()} if seen else None

    def _observe(self, images: Sequence[Image]) -> None:
        """Fill the cache with what each new image shows, all new ones in one batch."""
        if not self.config.facts:
            return
        new = {
            key: image
            for key, image in ((image_hash(i), i) for i in images)
            if key not in self._seen
        }
        if not new:
            return
        pictures = list(new.values())
        none: list[dict[str, float]] = [{} for _ in pictures]
        probed = self.config.observe == "probe"
        asked = self.backend.observe(pictures) if self.config.observe == "model" else none
        looked = list(zip(none, none, strict=True))
        if probed or self.config.measure:
            looked = self.evidence.seen(pictures, probed)
        likes = self.evidence.looks_like(pictures) if self.config.match else [""] * len(pictures)
        reads: Sequence[tuple[str, ...] | None] = [None] * len(pictures)
        if self.config.read:
            reads = self.evidence.read(pictures)
        for key, told, (of_probe, of_pixels), like, lines in zip(
            new, asked, looked, likes, reads, strict=True
        ):
            self._seen[key] = Observation(
                asked=of_probe if probed else told,
                measured=of_pixels if self.config.measure else {},
                looks_like=like,
                reads=lines,
            )
        while len(self._seen) > max(SEEN, len(images)):
            self._seen.popitem(last=False)

    def _facts(
        self, request: PairRequest, title: str, queries: tuple[str, ...]
    ) -> dict[Side, Shown] | None:
        """The facts of each side, or None in the paper's single pass."""
        if not self.config.facts:
            return None
        said: dict[Side, Shown] = {}
        sides: tuple[tuple[Side, Image], ...] = (("A", request.image_a), ("B", request.image_b))
        for side, image in sides:
            seen = self._seen[image_hash(image)]
            match = self.evidence.match(image, title, queries) if self.config.match else Match()
            if seen.reads is not None and queries:
                match = match.model_copy(update={"words": TOP * met(queries, seen.reads)})
            said[side] = shown(seen, match)
        return said


def _told(asked: list[tuple[int, Order]], on_event: OnEvent | None) -> OnText | None:
    """Turn a backend's raw text so far into events in the user's own A and B."""
    if on_event is None:
        return None

    def on_text(row: int, text: str) -> None:
        order = asked[row][1]
        shown = text.removeprefix("<think>\n").partition("</think>")[0]
        on_event(Reasoning(order, swap_sides(shown) if order == "BA" else shown))

    return on_text
