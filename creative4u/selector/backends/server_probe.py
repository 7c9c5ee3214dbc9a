"""Find out what a server can do: how many alternatives it lists a token, and whether it lists any.

Servers cap `top_logprobs` (vLLM at 20, others at 5) and refuse a request that asks for more; some
allow none. What a refusal says is taken up, and the same request is sent again with fewer.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from PIL import Image

from creative4u.errors import BackendError, DeniedError, RefusedError
from creative4u.selector.backends.openai_format import (
    LISTED,
    Answered,
    chat_body,
    data_url,
    has_probabilities,
)
from creative4u.selector.protocol.prompt import comparison_messages

PROBE_TOKENS = 8  # written in answer to the probe
FEWER = (10, 5, 2, 0)  # tried one after the other, where a refusal names no number
Body = dict[str, Any]
_log = logging.getLogger(__name__)


class Alternatives:
    """How many likeliest tokens a server is asked for; fewer once it has said so. Thread-safe."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = LISTED

    def ask(self, body: Body, ask: Callable[[Body], Answered]) -> Answered:
        """Ask, and again with fewer as long as a refusal is about their number."""
        while True:
            count = self.count
            try:
                return ask(with_alternatives(body, count))
            except RefusedError as error:
                fewer = fewer_alternatives(str(error), count)
                if fewer is None:
                    raise
                self.count = min(self.count, fewer)
                _log.info("%s lists at most %d alternatives a token", self.name, fewer)


def probe(alternatives: Alternatives, ask: Callable[[Body], Answered]) -> bool:
    """Whether the server lists alternatives to its tokens; asked with two small images.

    Raises RefusedError or DeniedError where it takes no comparison of two images at all. What may
    pass (busy, down) says nothing: True.
    """
    grey = data_url(Image.new("RGB", (56, 56), "grey"), None)
    messages = comparison_messages("probe", ())
    body = chat_body(messages, [grey, grey], alternatives.name, PROBE_TOKENS)
    try:
        answer = alternatives.ask(body, ask)
    except (RefusedError, DeniedError):
        raise
    except BackendError as error:
        _log.warning("%s does not tell yet what it can do: %s", alternatives.name, error)
        return True
    if alternatives.count and (has_probabilities(answer) or not answer.text):
        return True
    _log.warning("%s gives no token probabilities: it can judge no pair", alternatives.name)
    return False


def with_alternatives(body: Body, count: int) -> Body:
    """The same request with so many likeliest tokens; without any probabilities for 0."""
    if count:
        return body | {"logprobs": True, "top_logprobs": count}
    return {key: body[key] for key in body if key not in ("logprobs", "top_logprobs")}


def fewer_alternatives(said: str, asked: int) -> int | None:
    """How many alternatives to ask for after a refusal; None where it is about something else.

    The largest number below `asked` that the refusal names, or else the next of FEWER.
    """
    if not asked or "logprob" not in said.lower():
        return None
    told = said.partition("status ")[2].partition(" ")[2]  # what follows the server and the status
    named = [int(one) for one in re.findall(r"(?<![\d.])\d{1,2}(?![\d.]*\d)", told)]
    fitting = [one for one in named if 0 < one < asked]
    return max(fitting) if fitting else next(one for one in FEWER if one < asked)
