"""Balancing, failing over and coming back, with servers that die, hang or refuse on purpose."""

from __future__ import annotations

import threading
from collections import Counter

import httpx
import pytest
from PIL import Image
from stub_openai import Body, Listed, StubServer, verdict_tokens

from creative4u.errors import BackendError
from creative4u.selector.backends.openai_server import OpenAIBackend
from creative4u.selector.backends.server_pool import Endpoints, Patience, base_url
from creative4u.selector.protocol.backend import Completion, Prompt
from creative4u.selector.protocol.prompt import comparison_messages

IMAGE = Image.new("RGB", (30, 30))
HASTY = Patience(timeout=5.0, connect=1.0, outage=0.4, tries=3, first_pause=0.02, longest_pause=0.1)


def prompts(count: int) -> list[Prompt]:
    return [Prompt(comparison_messages(f"boot {n}", ()), (IMAGE, IMAGE)) for n in range(count)]


def number(body: Body) -> int:
    text: str = body["messages"][0]["content"][0]["text"]
    return int(text.partition("Title: boot ")[2].partition("\n")[0])


def of_number(body: Body) -> Listed:
    """Row n is answered with log odds of n."""
    return verdict_tokens("A", 0.0, -float(number(body)))


def odds(rows: object) -> list[float]:
    assert isinstance(rows, list)
    assert all(isinstance(row, Completion) for row in rows), rows
    return [row.logit_a for row in rows]


def test_one_slow_one_dying_nothing_lost_and_nothing_twice() -> None:
    left = threading.Semaphore(5)

    def dies_after_five(body: Body) -> Listed | None:
        return of_number(body) if left.acquire(blocking=False) else None

    with StubServer(of_number, seconds=0.05) as slow, StubServer(dies_after_five) as dying:
        backend = OpenAIBackend([slow.url, dying.url], concurrency=4, patience=HASTY)
        rows = backend.complete(prompts(30))
        answered = Counter(number(body) for body in slow.finished + dying.finished)
    assert odds(rows) == [float(n) for n in range(30)]
    assert answered == Counter(range(30))
    assert len(dying.finished) == 5


def test_a_killed_server_leaves_its_work_to_the_other(caplog: pytest.LogCaptureFixture) -> None:
    with StubServer(of_number) as one, StubServer(of_number, seconds=0.02) as other:
        backend = OpenAIBackend([one.url, other.url], concurrency=2, patience=HASTY)
        assert odds(backend.complete(prompts(6))) == [0, 1, 2, 3, 4, 5]
        one.die()
        backend.endpoints.client.close()  # as when its connections break
        backend = OpenAIBackend([other.url, one.url], concurrency=2, patience=HASTY)
        assert odds(backend.complete(prompts(6))) == [0, 1, 2, 3, 4, 5]
    said = [r.getMessage() for r in caplog.records if "trying again" in r.getMessage()]
    assert len(said) == 1  # once an outage, however many requests met it
    assert "1 other(s) go on" in said[0]


def test_a_server_that_comes_back_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    patient = Patience(outage=20.0, first_pause=0.05, longest_pause=0.2)
    server = StubServer(of_number)
    backend = OpenAIBackend(server.url, patience=patient)
    server.die()
    back: list[StubServer] = []
    again = threading.Timer(0.5, lambda: back.append(StubServer(of_number, port=server.port)))
    again.start()
    try:
        assert odds(backend.complete(prompts(5))) == [0, 1, 2, 3, 4]
    finally:
        again.join()
        back[0].die()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "no other server is left" in said[0]
    assert said[1] == f"{server.url}/v1 answers again"


def test_after_the_outage_requests_fail_at_once() -> None:
    server = StubServer(of_number)
    backend = OpenAIBackend(server.url, concurrency=2, patience=HASTY)
    server.die()
    rows = backend.complete(prompts(200))
    assert all(isinstance(row, BackendError) for row in rows)
    assert "no server answers; last: " in str(rows[0])


def test_a_busy_server_is_asked_again() -> None:
    states = iter([429, 503])
    asked: list[int] = []

    def busy_twice(body: Body) -> Listed | int:
        asked.append(number(body))
        return next(states, None) or of_number(body)

    with StubServer(busy_twice) as server:
        rows = OpenAIBackend(server.url, patience=HASTY).complete(prompts(1))
    assert odds(rows) == [0.0]
    assert asked == [0, 0, 0]


def test_a_request_goes_where_fewest_are_in_flight() -> None:
    endpoints = Endpoints(["http://a", "http://b"])
    seen: list[str] = []

    def nested(client: httpx.Client, base: str) -> str:
        seen.append(base)
        return endpoints.send(nested) if len(seen) < 4 else base

    endpoints.send(nested)
    assert Counter(seen) == {"http://a/v1": 2, "http://b/v1": 2}


def test_pauses_double_up_to_the_longest() -> None:
    patience = Patience(first_pause=0.5, longest_pause=10.0)
    for failures, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (9, 10.0)):
        assert longest / 2 <= patience.pause(failures) <= longest


@pytest.mark.parametrize(
    "url",
    [
        "http://h:1",
        "http://h:1/",
        "http://h:1/v1",
        "http://h:1/v1/",
        "http://h:1/v1/chat/completions",
    ],
)
def test_every_usual_form_of_an_address(url: str) -> None:
    assert base_url(url) == "http://h:1/v1"
