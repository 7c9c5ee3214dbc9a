"""An OpenAI-compatible server in a thread whose every answer and every failure is known."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reasoning_lines import LINES

from creative4u.selector.backends.server_probe import PROBE_TOKENS
from creative4u.selector.evidence.properties import NAMES
from creative4u.selector.protocol.completion import complete

Listed = list[tuple[str, dict[str, float]]]  # tokens and what is listed in their place
Body = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """A whole answer of another form: status, body and headers, or the events of a stream."""

    body: Body
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    events: tuple[Body, ...] = ()  # `choices` entries, for a request that streams


Answer = Listed | int | Reply | None


def at_most(count: int, answer: Callable[[Body], Answer]) -> Callable[[Body], Answer]:
    """A server that refuses more alternatives than `count`, in vLLM's words."""

    def limited(body: Body) -> Answer:
        asked = body.get("top_logprobs", 0)
        if asked > count:
            said = f"Requested sample logprobs of {asked}, greater than max allowed: {count}"
            return Reply({"error": {"message": said, "code": 400}}, 400)
        return answer(body)

    return limited


def without_probabilities(answer: Callable[[Body], Listed]) -> Callable[[Body], Reply]:
    """A server that lists no alternatives: `top_logprobs: []` in every place."""

    def bare(body: Body) -> Reply:
        choice = choice_of(answer(body))
        for entry in choice["logprobs"]["content"]:
            entry["top_logprobs"] = []
        return Reply({"choices": [choice]})

    return bare


def with_reasoning(name: str, pieces: Listed) -> Reply:
    """An answer whose reasoning stands in the field `name`, as servers with a parser write it."""
    text = "".join(piece for piece, _ in pieces)
    reasoning, _, content = text.removeprefix("<think>").partition("</think>")
    choice = choice_of(pieces)
    choice["message"] = {"role": "assistant", "content": content, name: reasoning}
    events = (
        {"delta": {name: reasoning}, "logprobs": None, "finish_reason": None},
        {"delta": {"content": content}, "logprobs": choice["logprobs"], "finish_reason": "stop"},
    )
    return Reply({"choices": [choice]}, events=events)


def verdict_tokens(choice: str, log_a: float, log_b: float) -> Listed:
    """The shared ten lines in five-letter tokens, then the answer with known probabilities."""
    text = complete(LINES, choice)
    place = text.rindex("<answer>") + len("<answer>")
    head = text[:place]
    pieces: Listed = [(head[i : i + 5], {}) for i in range(0, place, 5)]
    return [*pieces, (choice, {"A": log_a, "B": log_b, "C": -30.0}), ("</answer>", {})]


def rating_tokens(level: int, listed: dict[str, float]) -> Listed:
    """`size L whole L ...` with `listed` in the place of every digit."""
    pieces: Listed = []
    for name in NAMES:
        pieces += [(name, {}), (" ", {}), (str(level), listed), (" ", {})]
    return pieces


def choice_of(pieces: Listed, finish: str = "stop") -> Body:
    """One `choices` entry of a chat completion."""
    text = "".join(piece for piece, _ in pieces)
    return {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": [_entry(*piece) for piece in pieces]},
    }


def _entry(text: str, listed: dict[str, float]) -> Body:
    top = [{"token": token, "logprob": value} for token, value in (listed or {text: 0.0}).items()]
    return {"token": text, "logprob": (listed or {text: 0.0})[text], "top_logprobs": top}


class StubServer:
    """Answers by `answer(body)`; a number is an HTTP status, None breaks the connection off.

    `asked` are the bodies in the order of their coming, `finished` those that got their answer. The
    probe that a backend begins with is answered by `probe` and kept apart, in `probes`.
    """

    def __init__(
        self,
        answer: Callable[[Body], Answer],
        model: str = "stub",
        root: str = "",
        seconds: float = 0.0,
        finish: str = "stop",
        port: int = 0,
        probe: Callable[[Body], Answer] = lambda _: [("A", {"A": -0.1, "B": -2.6})],
    ) -> None:
        self.probe = probe
        self.probes: list[Body] = []
        self.answer, self.model, self.root = answer, model, root
        self.seconds, self.finish = seconds, finish
        self.asked: list[Body] = []
        self.finished: list[Body] = []
        self.busiest = self._busy = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> StubServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def die(self) -> None:
        """Stop listening, as a killed server does."""
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                return

            def do_GET(self) -> None:
                listed = [{"id": stub.model, "root": stub.root}]
                self._send(200, {"object": "list", "data": listed})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if body["max_tokens"] == PROBE_TOKENS:
                    stub.probes.append(body)
                    self._answer(body, stub.probe(body))
                    return
                with stub._lock:
                    stub.asked.append(body)
                    stub._busy += 1
                    stub.busiest = max(stub.busiest, stub._busy)
                time.sleep(stub.seconds)
                said = stub.answer(body)
                with stub._lock:
                    stub._busy -= 1
                    if isinstance(said, list):
                        stub.finished.append(body)
                self._answer(body, said)

            def _answer(self, body: Body, said: Answer) -> None:
                if isinstance(said, Reply):
                    if body.get("stream") and said.events:
                        self._events(said.events)
                    else:
                        self._send(said.status, said.body, said.headers)
                elif said is None:
                    self.close_connection = True
                elif isinstance(said, int):
                    self._send(said, {"error": {"message": f"status {said}"}})
                elif body.get("stream"):
                    self._stream(said)
                else:
                    self._send(200, {"choices": [choice_of(said, stub.finish)]})

            def _send(
                self, status: int, body: Body, headers: dict[str, str] | None = None
            ) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _stream(self, pieces: Listed) -> None:
                last = len(pieces) - 1
                self._events(
                    {
                        "delta": {"content": piece[0]},
                        "logprobs": {"content": [_entry(*piece)]},
                        "finish_reason": stub.finish if number == last else None,
                    }
                    for number, piece in enumerate(pieces)
                )

            def _events(self, events: Iterable[Body]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for event in events:
                    self.wfile.write(f"data: {json.dumps({'choices': [event]})}\n\n".encode())
                self.wfile.write(b"data: [DONE]\n\n")

        return Handler
