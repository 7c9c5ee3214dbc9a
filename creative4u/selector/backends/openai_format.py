"""Write the body of a chat completion, and read a server's answer as a Completion or as degrees.

Pure functions: the OpenAI-compatible backend and the batch files both call them. Servers differ in
where they put the reasoning: inside `content`, or beside it in `reasoning` (vLLM, OpenRouter) or
`reasoning_content` (DeepSeek, older vLLM); all three are read.
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

from creative4u.errors import (
    BackendError,
    ContentFilterError,
    ModelRefusalError,
    NoProbabilitiesError,
    TruncatedError,
    VerdictParseError,
)
from creative4u.images import encode, square
from creative4u.selector.evidence.properties import NAMES, TOP
from creative4u.selector.protocol.backend import Completion
from creative4u.selector.protocol.completion import parse
from creative4u.selector.protocol.prompt import Messages
from creative4u.selector.protocol.questions import SIDES

MAX_TOKENS = 768  # ten lines take some 200
OBSERVATION_TOKENS = 96
LISTED = 20  # likeliest tokens asked for; what most servers allow at most
MAX_SIDE, QUALITY = 1536, 95  # of images that the model's config does not square
# control words of the families that are served: ChatML, Qwen-VL, Idefics3, Llama, Mistral
SPECIAL_TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>",
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
    "<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]",
)  # fmt: skip
_ANSWER = re.compile(r"</think>\s*<answer>([AB])")
_ANSWER_ALONE = re.compile(r"<answer>([AB])")  # where the reasoning's tokens are not listed
UNLISTED = float("-inf")
REASONING = ("reasoning", "reasoning_content")  # fields beside `content`


@dataclass(frozen=True)
class Token:
    """One generated token and the log probabilities of the likeliest tokens in its place."""

    text: str
    listed: Mapping[str, float]


@dataclass(frozen=True)
class Answered:
    """A whole answer of a server; `tokens` is empty where it gives no probabilities.

    `refusal` is what the model says where it declines to answer.
    """

    text: str
    finish_reason: str
    tokens: Sequence[Token]
    refusal: str = ""


def chat_body(
    messages: Messages,
    urls: Iterable[str],
    model: str,
    max_tokens: int = MAX_TOKENS,
    alternatives: int = LISTED,
) -> dict[str, Any]:
    """The JSON body of one greedy chat completion; `urls` fill the image placeholders in order.

    `alternatives` likeliest tokens are asked for in each place; with 0 no probabilities at all.
    """
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
    body = {"model": model, "messages": shown, "temperature": 0, "max_tokens": max_tokens}
    return body | ({"logprobs": True, "top_logprobs": alternatives} if alternatives else {})


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
        message = choice["message"]
        return Answered(
            text=joined(reasoning_of(message), message.get("content") or ""),
            finish_reason=choice.get("finish_reason") or "",
            tokens=tokens(choice.get("logprobs")),
            refusal=message.get("refusal") or "",
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BackendError(f"not a chat completion: {json.dumps(body)[:200]}") from error


def reasoning_of(message: Mapping[str, Any]) -> str:
    """The reasoning that stands beside the content of a message, or of one streamed piece."""
    return next((message[name] for name in REASONING if message.get(name)), "")


def joined(reasoning: str, content: str) -> str:
    """The completion as the model wrote it, where a server has cut the reasoning out of it."""
    if not reasoning or "</think>" in content:
        return content
    if "</think>" in reasoning:  # it cut nothing, or all of it
        return reasoning + content
    return f"<think>\n{reasoning.removeprefix('<think>').strip()}\n</think>{content.lstrip()}"


def tokens(logprobs: Mapping[str, Any] | None) -> list[Token]:
    """The `logprobs` of a choice, whole or of one streamed chunk, as tokens."""
    return [
        Token(
            entry["token"],
            {entry["token"]: entry["logprob"]}
            | {one["token"]: one["logprob"] for one in entry.get("top_logprobs") or ()},
        )
        for entry in (logprobs or {}).get("content") or ()
    ]


def completion(answer: Answered) -> Completion:
    """The text, and the log odds of A against B in the place of the answer token.

    `logit_a` is logprob(A) - logprob(B). Where one side is not among the listed tokens, the
    smallest listed log probability stands for it: a bound, so the true odds are further from even.
    Nothing stands for odds that were not measured.

    Raises ModelRefusalError, ContentFilterError, TruncatedError (out of tokens), VerdictParseError
    (the text is no verdict), NoProbabilitiesError (no alternatives listed in the answer's place).
    """
    _check_finished(answer, "the completion ran out of tokens before its answer")
    if _ANSWER.search(answer.text) is None:
        parse(answer.text)  # says what is wrong with it
        raise VerdictParseError("got no answer; allowed is <answer>A or B</answer>")
    written = "".join(token.text for token in answer.tokens)
    found = _ANSWER.search(written)
    if found is None and "</think>" not in written:
        found = _ANSWER_ALONE.search(written)
    if found is None:
        raise NoProbabilitiesError("the server gave no probabilities of the answer's token")
    of_a, of_b = _in_place(answer.tokens, found.start(1), SIDES)
    bound = min(_token_at(answer.tokens, found.start(1))[0].listed.values())
    if min(of_a, of_b) == UNLISTED and max(of_a, of_b) <= bound:
        raise NoProbabilitiesError(
            "the server listed no alternatives to the answer's token, so its odds are not known"
        )
    return Completion(answer.text, max(of_a, bound) - max(of_b, bound))


def has_probabilities(answer: Answered) -> bool:
    """Whether an answer lists alternatives to its tokens at all."""
    return any(len(token.listed) > 1 for token in answer.tokens)


def _check_finished(answer: Answered, too_long: str) -> None:
    """Raise what kept an answer from being one."""
    if answer.refusal:
        raise ModelRefusalError(f"the model declined: {' '.join(answer.refusal.split())[:200]}")
    if answer.finish_reason == "content_filter":
        raise ContentFilterError("the server's content filter held the answer back")
    if answer.finish_reason == "length":
        raise TruncatedError(too_long)


def degrees(answer: Answered) -> dict[str, float]:
    """Degrees 0..9 from a completion of the form `size 6 whole 9 ...`.

    Each is the expectation over the digits that are listed in the place of the written one, their
    probabilities made to sum to one. Raises as `completion` does.
    """
    _check_finished(answer, "the ratings ran out of tokens")
    if answer.text and not answer.tokens:
        raise NoProbabilitiesError("the server gave no probabilities of its ratings")
    written = "".join(token.text for token in answer.tokens)
    rated, start = {}, 0
    for name in NAMES:
        found = re.compile(rf"\b{name} ?([0-9])\b").search(written, start)
        if found is None:
            raise VerdictParseError(
                f"got ratings {written[:80]!r}; {name!r} and a digit from 0 to {TOP} were due"
            )
        start = found.end()
        of_digits = _in_place(answer.tokens, found.start(1), [str(d) for d in range(TOP + 1)])
        weights = [math.exp(value) for value in of_digits]
        if not sum(weights) or len(_token_at(answer.tokens, found.start(1))[0].listed) < 2:
            raise NoProbabilitiesError(f"the server listed no alternatives to the digit of {name}")
        rated[name] = sum(d * weight for d, weight in enumerate(weights)) / sum(weights)
    return rated


def _in_place(tokens: Sequence[Token], place: int, options: Sequence[str]) -> list[float]:
    """Log probabilities of one-letter `options` in the token that covers letter `place`.

    An option is the token with that one letter changed; what is not listed has -inf.
    """
    token, inside = _token_at(tokens, place)
    before, after = token.text[:inside], token.text[inside + 1 :]
    return [token.listed.get(before + option + after, UNLISTED) for option in options]


def _token_at(tokens: Sequence[Token], place: int) -> tuple[Token, int]:
    """The token that covers letter `place` of the whole text, and the letter's place in it."""
    for token in tokens:
        if place < len(token.text):
            break
        place -= len(token.text)
    return token, place
