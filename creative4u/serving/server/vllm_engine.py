"""Judge with a vLLM engine in this process: no server, no HTTP.

What a worker of a cluster holds where there is a GPU, and what the benchmark compares with.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image

from creative4u.errors import BackendError, Creative4UError
from creative4u.selector.backends.openai_format import (
    LISTED,
    MAX_TOKENS,
    OBSERVATION_TOKENS,
    SPECIAL_TOKENS,
    Answered,
    Token,
    chat_body,
    completion,
    data_url,
    degrees,
)
from creative4u.selector.config import PAPER, read_config
from creative4u.selector.evidence.image_evidence import evidence
from creative4u.selector.judge import Judge
from creative4u.selector.protocol.backend import Completion, OnText, Prompt
from creative4u.selector.protocol.prompt import observation_messages
from creative4u.serving.server.servable import servable
from creative4u.serving.server.vllm_command import CPU_ROOM, HOW_TO_INSTALL, engine_options


class VllmBackend:
    """One vLLM engine; all prompts of a call go in at once and are batched by the engine."""

    special_tokens: tuple[str, ...] = SPECIAL_TOKENS

    def __init__(self, engine: Any, name: str, image_side: int | None) -> None:
        self.engine = engine
        self.name = name
        self.image_side = image_side
        self._lock = threading.Lock()

    def observe(self, images: Sequence[Image]) -> list[dict[str, float]]:
        """Degrees of every property; the first answer that is none is raised."""
        chats = [
            chat_body(observation_messages(), [data_url(image, self.image_side)], self.name)
            for image in images
        ]
        return [degrees(_answered(output)) for output in self._asked(chats, OBSERVATION_TOKENS)]

    def complete(
        self, prompts: Sequence[Prompt], on_text: OnText | None = None
    ) -> list[Completion | Creative4UError]:
        """One completion a prompt, in order; the engine's text comes whole, not streamed."""
        chats = [
            chat_body(p.messages, [data_url(i, self.image_side) for i in p.images], self.name)
            for p in prompts
        ]
        outputs = self._asked(chats, MAX_TOKENS)
        if on_text is not None:
            for row, output in enumerate(outputs):
                on_text(row, output.outputs[0].text)
        return [completion_of(output) for output in outputs]

    def _asked(self, chats: Sequence[dict[str, Any]], max_tokens: int) -> list[Any]:
        from vllm import SamplingParams

        sampling = SamplingParams(temperature=0.0, max_tokens=max_tokens, logprobs=LISTED)
        with self._lock:
            outputs: list[Any] = self.engine.chat(
                [chat["messages"] for chat in chats],
                sampling,
                use_tqdm=False,
                chat_template_content_format="openai",
            )
        return outputs


def load_engine(model: str | None = None) -> Judge:
    """The judge of a model on a vLLM engine of its own; raises BackendError without vLLM."""
    try:
        from vllm import LLM
    except ImportError as error:
        raise BackendError(HOW_TO_INSTALL) from error
    source = servable(model)
    config = read_config(Path(source.source)) if Path(source.source).is_dir() else PAPER
    gpu = torch.cuda.is_available()
    if not gpu:
        os.environ.setdefault(*CPU_ROOM)
    engine = LLM(model=source.source, **engine_options(source, gpu))
    return Judge(VllmBackend(engine, source.name, config.image_side), config, evidence())


def completion_of(output: Any) -> Completion | Creative4UError:
    """One output of the engine as a completion, or why it is none."""
    try:
        return completion(_answered(output))
    except Creative4UError as error:
        return error


def _answered(request: Any) -> Answered:
    """One output of the engine as an answer of a server."""
    output, tokens = request.outputs[0], []
    for token_id, listed in zip(output.token_ids, output.logprobs or (), strict=False):
        named = {one.decoded_token: one.logprob for one in listed.values()}
        tokens.append(Token(listed[token_id].decoded_token, named))
    return Answered(output.text, output.finish_reason or "", tokens)
