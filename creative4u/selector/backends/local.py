"""Answer prompts with a model in this process (transformers), both orders in one batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL.Image import Image

from creative4u.errors import CompletionError
from creative4u.images import square
from creative4u.selector.decoding.guided_decoder import GuidedDecoder
from creative4u.selector.decoding.rating import rate
from creative4u.selector.protocol.backend import Completion, OnText, Prompt
from creative4u.selector.protocol.prompt import Messages, citations, observation_messages

OBSERVED_AT_ONCE = 16  # images a batch
MOST_AT_ONCE = 4  # calls; more only wait for the interpreter between their products


class LocalBackend:
    """Guided decoding on a loaded model; calls may come from any thread.

    One call at a time has all threads of torch, unless `share_cores` lets several run side by side.
    `image_side` squares every image first, None leaves it; `exact` decides what is close
    (`GuidedDecoder`).
    """

    def __init__(
        self, model: Any, processor: Any, name: str, image_side: int | None, exact: Any = None
    ) -> None:
        self.name = name
        self.processor = processor
        self.image_side = image_side
        tokenizer = processor.tokenizer
        self.special_tokens: tuple[str, ...] = tuple(tokenizer.all_special_tokens)
        added: dict[int, Any] = tokenizer.added_tokens_decoder
        self.decoder = GuidedDecoder(model, tokenizer, list(added), exact)
        self._turns = threading.Semaphore(1)
        self._threads: int | None = None  # of torch, a call

    def share_cores(self) -> int:
        """Let a call run on every core, MOST_AT_ONCE at most, and say how many that are.

        Where a batch is small, two calls on a core each finish sooner than two after each other on
        both cores: a product of few rows is soon done, and its threads wait for each other.
        """
        cores = torch.get_num_threads()
        calls = min(cores, MOST_AT_ONCE)
        self._turns = threading.Semaphore(calls)
        self._threads = cores // calls
        return calls

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._turns:
            if self._threads is not None:
                torch.set_num_threads(self._threads)
            yield

    def observe(self, images: Sequence[Image]) -> list[dict[str, float]]:
        """Degrees of every property, OBSERVED_AT_ONCE images a batch."""
        rated: list[dict[str, float]] = []
        for start in range(0, len(images), OBSERVED_AT_ONCE):
            batch = images[start : start + OBSERVED_AT_ONCE]
            inputs = self._inputs([observation_messages()] * len(batch), [[i] for i in batch])
            with self._turn():
                rated += rate(self.decoder.model, self.processor.tokenizer, inputs)
        return rated

    def complete(
        self, prompts: Sequence[Prompt], on_text: OnText | None = None
    ) -> list[Completion | CompletionError]:
        """One completion a prompt, all in one batch."""
        inputs = self._inputs([p.messages for p in prompts], [list(p.images) for p in prompts])
        with self._turn():
            return self.decoder.complete(
                inputs, on_text, [citations(prompt.evidence) for prompt in prompts]
            )

    def _inputs(
        self, messages: Sequence[Messages], images: Sequence[Sequence[Image]]
    ) -> dict[str, torch.Tensor]:
        shown = [
            [i if self.image_side is None else square(i, self.image_side) for i in row]
            for row in images
        ]
        texts = [
            self.processor.apply_chat_template(m, add_generation_prompt=True) for m in messages
        ]
        inputs = self.processor(
            text=texts, images=shown, padding=True, padding_side="left", return_tensors="pt"
        )
        return dict(inputs)
