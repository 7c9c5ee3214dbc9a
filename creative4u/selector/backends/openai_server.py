"""Judge with a model behind an OpenAI-compatible server (vLLM first of all).

    creative4u judge pairs.jsonl -o verdicts.jsonl --model http://127.0.0.1:8000

The chat template and its end of turn are the server's. Images travel in the request: no server
of ours is ever asked to fetch an address. One small request beforehand finds out what the server
can do, and whether it takes such requests at all.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
from PIL.Image import Image

from creative4u.errors import (
    BackendError,
    Creative4UError,
    DeniedError,
    InputError,
    NoProbabilitiesError,
)
from creative4u.selector.backends.openai_format import (
    OBSERVATION_TOKENS,
    SPECIAL_TOKENS,
    Answered,
    Token,
    answered,
    chat_body,
    completion,
    data_url,
    degrees,
    joined,
    reasoning_of,
    tokens,
)
from creative4u.selector.backends.server_pool import KEY, Endpoints, Patience, base_url, refusal
from creative4u.selector.backends.server_probe import Alternatives, probe
from creative4u.selector.protocol.backend import Completion, OnText, Prompt
from creative4u.selector.protocol.prompt import observation_messages

CONCURRENCY = 16  # requests in flight, over all servers
_log = logging.getLogger(__name__)
T = TypeVar("T")


class OpenAIBackend:
    """One model behind one or more addresses; thread-safe.

    Args:
        urls: `http://HOST:PORT`, with or without `/v1`; all serve the same model.
        model: its name there; the first that the server lists by default.
        image_side: squares every image to a lossless PNG; None sends it as it is, as a JPEG.
        concurrency: requests in flight, over all servers.
        patience: timeouts and retries.

    Raises InputError where the addresses serve different models or want a key, BackendError where
    none answers, RefusedError or DeniedError where the server takes no request of this kind.
    """

    special_tokens: tuple[str, ...] = SPECIAL_TOKENS

    def __init__(
        self,
        urls: str | Sequence[str],
        model: str | None = None,
        image_side: int | None = None,
        concurrency: int = CONCURRENCY,
        patience: Patience | None = None,
    ) -> None:
        addresses = [urls] if isinstance(urls, str) else list(urls)
        self.endpoints = Endpoints(addresses, patience)
        self.name, self.folder = _served(self.endpoints, addresses, model)
        self.image_side = image_side
        self.concurrency = concurrency
        self._room = threading.BoundedSemaphore(concurrency)  # over all calls of `complete`
        self._alternatives = Alternatives(self.name)
        self._measures = probe(self._alternatives, lambda body: self._ask(body, tries=1))

    def observe(self, images: Sequence[Image]) -> list[dict[str, float]]:
        """Degrees of every property, an image a request; the first that fails is raised."""

        def rate(row: int, _: OnText) -> dict[str, float]:
            body = chat_body(
                observation_messages(),
                [data_url(images[row], self.image_side)],
                self.name,
                OBSERVATION_TOKENS,
            )
            return degrees(self._alternatives.ask(body, self._ask))

        rated: list[dict[str, float]] = []
        for outcome in in_threads(rate, len(images), self.concurrency):
            if isinstance(outcome, Creative4UError):
                raise outcome
            rated.append(outcome)
        return rated

    def complete(
        self, prompts: Sequence[Prompt], on_text: OnText | None = None
    ) -> list[Completion | Creative4UError]:
        """One completion a prompt, in order; a request that fails is its own row's error."""
        if not self._measures:
            none = NoProbabilitiesError(f"{self.name} gives no token probabilities")
            return [none] * len(prompts)
        both_orders: dict[int, str] = {}  # an image is encoded once for all prompts that show it
        for prompt in prompts:
            for image in prompt.images:
                if id(image) not in both_orders:
                    both_orders[id(image)] = data_url(image, self.image_side)

        def ask(row: int, tell: OnText) -> Completion:
            prompt = prompts[row]
            urls = [both_orders[id(image)] for image in prompt.images]
            body = chat_body(prompt.messages, urls, self.name)
            if on_text is None:
                return completion(self._alternatives.ask(body, self._ask))

            def stream(adapted: dict[str, Any]) -> Answered:
                return self._stream(adapted, lambda text: tell(row, text))

            return completion(self._alternatives.ask(body, stream))

        return in_threads(ask, len(prompts), self.concurrency, on_text)

    def _ask(self, body: dict[str, Any], tries: int | None = None) -> Answered:
        def ask(client: httpx.Client, base: str) -> Answered:
            response = client.post(f"{base}/chat/completions", json=body)
            response.raise_for_status()
            return answered(_json(response.text))

        with self._room:
            return self.endpoints.send(ask, tries)

    def _stream(self, body: dict[str, Any], on_text: Callable[[str], None]) -> Answered:
        def ask(client: httpx.Client, base: str) -> Answered:
            streamed = body | {"stream": True}
            with client.stream("POST", f"{base}/chat/completions", json=streamed) as response:
                if response.is_error:
                    response.read()
                response.raise_for_status()
                return _gathered(response.iter_lines(), on_text)

        with self._room:
            return self.endpoints.send(ask)


def in_threads(
    work: Callable[[int, OnText], T],
    count: int,
    threads: int,
    on_text: OnText | None = None,
) -> list[T | Creative4UError]:
    """`work(row, tell)` for every row, in order; a Creative4UError is the row's own outcome.

    What `work` tells goes to `on_text` in the calling thread. A DeniedError, which holds for all
    rows, and any error of another kind is raised, and then,
    as when the caller is interrupted, no further row begins: the threads are daemons that end with
    the requests they wait for.
    """
    rows: queue.SimpleQueue[int] = queue.SimpleQueue()
    said: queue.SimpleQueue[tuple[int, str | None, Any]] = queue.SimpleQueue()
    stopped = threading.Event()
    for row in range(count):
        rows.put(row)

    def tell(row: int, text: str) -> None:
        if stopped.is_set():
            raise BackendError("stopped")
        said.put((row, text, None))

    def run() -> None:
        while not stopped.is_set():
            try:
                row = rows.get_nowait()
            except queue.Empty:
                return
            try:
                said.put((row, None, work(row, tell)))
            except BaseException as error:  # handed to the caller
                said.put((row, None, error))

    for _ in range(min(threads, count)):
        threading.Thread(target=run, daemon=True).start()
    outcomes: dict[int, Any] = {}
    try:
        while len(outcomes) < count:
            row, text, outcome = said.get()
            if text is not None:
                if on_text is not None:
                    on_text(row, text)
            elif isinstance(outcome, DeniedError) or (
                isinstance(outcome, BaseException) and not isinstance(outcome, Creative4UError)
            ):
                raise outcome
            else:
                outcomes[row] = outcome
    finally:
        stopped.set()
    return [outcomes[row] for row in range(count)]


def _gathered(lines: Iterator[str], on_text: Callable[[str], None]) -> Answered:
    """Server-sent events as one answer; a stream that breaks off is a connection that broke."""
    content = reasoning = finish = refused = ""
    listed: list[Token] = []
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            break
        event = _json(data)
        if "error" in event:
            raise httpx.RemoteProtocolError(f"the server broke off: {str(event['error'])[:200]}")
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            refused += delta.get("refusal") or ""
            reason, piece = reasoning_of(delta), delta.get("content") or ""
            if reason or piece:
                reasoning, content = reasoning + reason, content + piece
                on_text(joined(reasoning, content))
            listed += tokens(choice.get("logprobs"))
            finish = choice.get("finish_reason") or finish
    if not finish:
        raise httpx.RemoteProtocolError("the stream ended before the completion did")
    return Answered(joined(reasoning, content), finish, listed, refused)


def _json(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise BackendError(f"not an answer in JSON: {text[:200]!r}")
    return read


def _served(
    endpoints: Endpoints, urls: Sequence[str], model: str | None
) -> tuple[str, Path | None]:
    """The model's name that the servers share, and the folder that they say it was loaded from."""
    found: dict[str, str] = {}  # name -> root
    for url in urls:
        base = base_url(url)
        try:
            response = endpoints.client.get(f"{base}/models", timeout=10.0)
            response.raise_for_status()
            listed = {one["id"]: one.get("root") or "" for one in _json(response.text)["data"]}
        except httpx.HTTPStatusError as error:
            if error.response.status_code in (401, 403):
                raise InputError(f"{base} wants a key; put it in {KEY}") from error
            raise refusal(error.response, f"{base}/models") from error
        except httpx.TransportError as error:
            if len(urls) == 1:
                raise BackendError(f"{base} does not answer: {error}") from error
            _log.warning("%s does not answer yet: %s", base, error)
            continue
        except (KeyError, TypeError) as error:
            raise BackendError(f"{base}/models: not a list of models") from error
        name = model or next(iter(listed), "")
        if name not in listed:
            raise InputError(f"{base} serves {', '.join(listed) or 'no model'}, not {name!r}")
        found[name] = found.get(name) or listed[name]
    if len(found) > 1:
        raise InputError(f"the servers serve different models: {', '.join(found)}")
    if not found:
        raise BackendError("no server answers: " + ", ".join(urls))
    name, root = next(iter(found.items()))
    return name, Path(root) if Path(root).is_absolute() else None
