"""Ask an OpenAI-compatible vision model for reasoning, many pairs at once.

Run: creative4u data reason --pairs DIR --out DIR --teacher http://127.0.0.1:8000/v1 --model NAME

The teacher is asked for the protocol by the same prompt as the selector and read by the same
parser. It is not told the label: reasoning that chooses the other side is dropped by `reasoning`.
Each outcome is written as it comes, so a killed run goes on; only errors of the server are retried.
A server that wants a key is sent the one in CREATIVE4U_API_KEY.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from creative4u.errors import ImageError, InputError, VerdictParseError
from creative4u.images import encode, load_image
from creative4u.proxies import http_client
from creative4u.schema import CreativePair
from creative4u.selector.protocol.completion import parse
from creative4u.selector.protocol.prompt import Messages, clean_request, comparison_messages
from data.creative_pair.reasoning.add_reasoning import Dropped, Reasoned

SERVER_FAILED = "server: "  # such an outcome is asked again by the next run


@dataclass(frozen=True)
class TeacherConfig:
    """Where the teacher is and how it is asked; `url` ends in /v1."""

    url: str
    model: str
    api_key: str = ""
    concurrency: int = 8
    timeout: float = 120.0  # seconds
    retries: int = 2  # after the first attempt
    max_tokens: int = 600
    temperature: float = 0.7
    side: int = 512  # pixels, the longer side of the images sent


@dataclass(frozen=True)
class Teacher:
    """A source of reasoning (see `reasoning.Source`); `home` is the folder of the pairs' file."""

    config: TeacherConfig
    home: Path
    journal: Path  # JSONL, one outcome a line
    transport: httpx.BaseTransport | None = None  # tests give their own

    def reasons(self, pairs: Iterable[CreativePair]) -> Iterator[Reasoned | Dropped]:
        """Outcomes of earlier runs first, then the others as the server answers."""
        rows = list(pairs)
        known = {pair_id: outcome for pair_id, outcome in self._journal() if not
                 (isinstance(outcome, Dropped) and outcome.reason.startswith(SERVER_FAILED))}
        yield from (known[pair.pair_id] for pair in rows if pair.pair_id in known)
        todo = [pair for pair in rows if pair.pair_id not in known]
        headers = ({"Authorization": f"Bearer {self.config.api_key}"}
                   if self.config.api_key else {})
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        with (http_client([self.config.url], self.transport, timeout=self.config.timeout,
                          headers=headers) as client,
              ThreadPoolExecutor(self.config.concurrency) as pool,
              self.journal.open("a", encoding="utf-8") as journal):
            asked = [pool.submit(self._ask, client, pair) for pair in todo]
            for outcome in (future.result() for future in as_completed(asked)):
                row = {**_record(outcome), "model": self.config.model}
                journal.write(json.dumps(row, ensure_ascii=False) + "\n")
                journal.flush()
                yield outcome

    def _ask(self, client: httpx.Client, pair: CreativePair) -> Reasoned | Dropped:
        try:
            title, queries = clean_request(pair.product_title, pair.queries)
            images = [load_image(self.home / image) for image in (pair.image_a, pair.image_b)]
        except (ImageError, InputError) as error:
            return Dropped(pair.pair_id, str(error.code))
        body = {
            "model": self.config.model, "max_tokens": self.config.max_tokens,
            "temperature": self.config.temperature,
            "messages": with_images(comparison_messages(title, queries, instructions="full"),
                                    [encode(image, self.config.side) for image in images])}
        try:
            text = self._post(client, body)
        except httpx.HTTPError as error:
            return Dropped(pair.pair_id, f"{SERVER_FAILED}{type(error).__name__}")
        except (KeyError, IndexError, TypeError, ValueError):
            return Dropped(pair.pair_id, f"{SERVER_FAILED}no completion in its answer")
        try:
            parsed = parse(text)
        except VerdictParseError:
            return Dropped(pair.pair_id, "unparsable completion")
        return Reasoned(pair.pair_id, parsed.answers, parsed.reasoning)

    def _post(self, client: httpx.Client, body: dict[str, Any]) -> str:
        """The completion's text; waits 1, 2, 4 ... seconds between attempts."""
        for attempt in range(self.config.retries + 1):
            try:
                answer = client.post(f"{self.config.url.rstrip('/')}/chat/completions", json=body)
                answer.raise_for_status()
                return str(answer.json()["choices"][0]["message"]["content"])
            except httpx.HTTPError as error:
                refused = (isinstance(error, httpx.HTTPStatusError)
                           and error.response.status_code < 500
                           and error.response.status_code != 429)
                if refused or attempt == self.config.retries:
                    raise
                time.sleep(min(2.0**attempt, 8.0))
        raise AssertionError("the loop returns or raises")

    def _journal(self) -> Iterator[tuple[str, Reasoned | Dropped]]:
        if not self.journal.exists():
            return
        for line in self.journal.read_text("utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # a line that a kill cut in half: its pair is asked again
                continue
            if row["model"] != self.config.model:  # another teacher's words are not this one's
                continue
            if "reason" in row:
                yield row["pair_id"], Dropped(row["pair_id"], row["reason"])
            else:
                answers = parse(row["completion"])
                yield row["pair_id"], Reasoned(row["pair_id"], answers.answers, answers.reasoning)


def _record(outcome: Reasoned | Dropped) -> dict[str, str]:
    if isinstance(outcome, Dropped):
        return {"pair_id": outcome.pair_id, "reason": outcome.reason}
    completion = (f"<think>\n{outcome.reasoning}\n</think>"
                  f"<answer>{outcome.answers.click}</answer>")
    return {"pair_id": outcome.pair_id, "completion": completion}


def with_images(messages: Messages, images: list[bytes]) -> Messages:
    """The chat messages with each image placeholder filled by a base64 JPEG, in order."""
    left = iter(images)

    def part(content: dict[str, Any]) -> dict[str, Any]:
        if content["type"] != "image":
            return content
        data = base64.b64encode(next(left)).decode()
        return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}

    return [{**message, "content": [part(content) for content in message["content"]]}
            for message in messages]
