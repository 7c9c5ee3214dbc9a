"""Convert prompts to chat completion requests and a server's answers to completions.

Pure functions: the OpenAI-compatible backend and the batch files both call them.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from creative4u.errors import BackendError, TruncatedError, VerdictParseError
from creative4u.images import encode, square
from creative4u.selector.evidence.properties import NAMES, TOP
from creative4u.selector.protocol.backend import Completion
from creative4u.selector.protocol.prompt import Messages
from creative4u.selector.protocol.questions import SIDES

MAX_TOKENS = 768  # ten lines take some 200
OBSERVATION_TOKENS = 96
LISTED = 20  # likeliest tokens asked for; what servers allow at most
MAX_SIDE, QUALITY = 1536, 95  # of images that the model's config does not square
# control words of the families that are served: ChatML, Qwen-VL, Idefics3, Llama, Mistral
SPECIAL_TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>",
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
    "<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]",
)  # fmt: skip
_ANSWER = re.compile(r"</think><answer>([AB])")


@dataclass(frozen=True)
class Token:
    """One generated token and the log probabilities of the likeliest tokens in its place."""

    text: str
    listed: Mapping[str, float]


@dataclass(frozen=True)
class Answered:
    """A whole answer of a server; `tokens` is empty where it gives no probabilities."""

    text: str
    finish_reason: str
    tokens: Sequence[Token]


def chat_body(
    messages: Messages, urls: Iterable[str], model: str, max_tokens: int = MAX_TOKENS
) -> dict[str, Any]:
    """The JSON body of one greedy chat completion; `urls` fill the image placeholders in order."""
    images = iter(urls)
    shown = [
        {
            "role": message["role"],
            "content": [
                {"type": "image_url", "image_url": {"url": next(images)}}
                if part["type"] == "image"
                else part
                for part in message["content"]
            ],
        }
        for message in messages
    ]
    return {
        "model": model,
        "messages": shown,
        "temperature": 0,
        "max_tokens": max_tokens,
        "logprobs": True,
        "top_logprobs": LISTED,
    }


def data_url(image: Image, side: int | None) -> str:
    """The image in base64, re-encoded by us.

    Squared to `side` it is a PNG, the very pixels that the model sees in process; as it is (None) a
    JPEG of at most MAX_SIDE pixels a side, so that parity is near and not exact.
    """
    if side is None:
        kind, data = "jpeg", encode(image, MAX_SIDE, QUALITY)
    else:
        buffer = io.BytesIO()
        square(image, side).convert("RGB").save(buffer, "PNG")
        kind, data = "png", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def answered(body: Mapping[str, Any]) -> Answered:
    """Read the body of a chat completion; raises BackendError where it is none."""
    try:
        choice = body["choices"][0]
        return Answered(
            text=choice["message"]["content"] or "",
            finish_reason=choice["finish_reason"] or "",
            tokens=tokens(choice.get("logprobs")),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BackendError(f"not a chat completion: {json.dumps(body)[:200]}") from error


def tokens(logprobs: Mapping[str, Any] | None) -> list[Token]:
    """The `logprobs` of a choice, whole or of one streamed chunk, as tokens."""
    return [
        Token(
            entry["token"],
            {entry["token"]: entry["logprob"]}
            | {one["token"]: one["logprob"] for one in entry["top_logprobs"]},
        )
        for entry in (logprobs or {}).get("content") or ()
    ]


def completion(answer: Answered) -> Completion:
    """The text, and the log odds of A against B in the place of the answer token.

    `logit_a` is logprob(A) - logprob(B). Where one side is not among the listed tokens, the
    smallest listed log probability stands for it: a bound, so the true odds are further from even.
    A text without an answer has odds of 0; `parser.parse` says what is wrong with it.

    Raises TruncatedError (out of tokens), BackendError (no probabilities of the answer token).
    """
    if answer.finish_reason == "length":
        raise TruncatedError("the completion ran out of tokens before its answer")
    if _ANSWER.search(answer.text) is None:
        return Completion(answer.text, 0.0)
    written = "".join(token.text for token in answer.tokens)
    found = _ANSWER.search(written)
    if found is None:
        raise BackendError("the server gave no token probabilities; logprobs must be allowed")
    of_a, of_b = _in_place(answer.tokens, found.start(1), SIDES)
    return Completion(answer.text, of_a - of_b)


def degrees(answer: Answered) -> dict[str, float]:
    """Degrees 0..9 from a completion of the form `size 6 whole 9 ...`.

    Each is the expectation over the digits that are listed in the place of the written one, their
    probabilities made to sum to one. Raises TruncatedError, VerdictParseError.
    """
    if answer.finish_reason == "length":
        raise TruncatedError("the ratings ran out of tokens")
    written = "".join(token.text for token in answer.tokens)
    rated, start = {}, 0
    for name in NAMES:
        found = re.compile(rf"\b{name} ?([0-9])\b").search(written, start)
        if found is None:
            raise VerdictParseError(
                f"got ratings {written[:80]!r}; {name!r} and a digit from 0 to {TOP} were due"
            )
        start = found.end()
        of_digits = _in_place(
            answer.tokens, found.start(1), [str(d) for d in range(TOP + 1)], float("-inf")
        )
        weights = [math.exp(value) for value in of_digits]
        rated[name] = sum(d * weight for d, weight in enumerate(weights)) / sum(weights)
    return rated


def _in_place(
    tokens: Sequence[Token], place: int, options: Sequence[str], missing: float | None = None
) -> list[float]:
    """Log probabilities of one-letter `options` in the token that covers letter `place`.

    An option is the token with that one letter changed; `missing` (the smallest listed log
    probability by default) stands for what is not listed.
    """
    for token in tokens:
        if place < len(token.text):
            break
        place -= len(token.text)
    before, after = token.text[:place], token.text[place + 1 :]
    bound = min(token.listed.values()) if missing is None else missing
    return [token.listed.get(before + option + after, bound) for option in options]
