"""The OpenAI-compatible backend against a stub server whose probabilities are known."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from reasoning_lines import LINES
from stub_openai import Body, Listed, StubServer, choice_of, rating_tokens, verdict_tokens
from tokenizers import Tokenizer

from creative4u.errors import (
    BackendError,
    InputError,
    NoProbabilitiesError,
    RefusedError,
    TruncatedError,
    VerdictParseError,
)
from creative4u.images import square
from creative4u.selector.backends.openai_format import (
    Answered,
    Token,
    answered,
    completion,
    degrees,
)
from creative4u.selector.backends.openai_server import OpenAIBackend, in_threads
from creative4u.selector.backends.server_pool import Patience
from creative4u.selector.config import FILE_NAME, PAPER, JudgeConfig
from creative4u.selector.evidence.properties import NAMES, target
from creative4u.selector.judge import PairRequest
from creative4u.selector.protocol.backend import Completion, Prompt
from creative4u.selector.protocol.completion import complete
from creative4u.selector.protocol.prompt import comparison_messages

HASTY = Patience(timeout=5.0, connect=1.0, outage=0.5, tries=3, first_pause=0.02, longest_pause=0.1)
WIDE, TALL = Image.new("RGB", (90, 40), "red"), Image.new("RGB", (40, 90), "blue")


def prompt(title: str, first: Image.Image = WIDE, second: Image.Image = TALL) -> Prompt:
    return Prompt(comparison_messages(title, ()), (first, second))


def title_of(body: Body) -> str:
    text: str = body["messages"][0]["content"][0]["text"]
    return text.partition("Title: ")[2].partition("\n")[0]


def by_title(body: Body) -> Listed | int | None:
    """`title 0.7` is answered A with a probability of 0.7; other titles fail as they say."""
    word, _, number = title_of(body).partition(" ")
    if word == "status":
        return int(number)
    if word == "dies":
        return None
    return verdict_tokens("A", -0.1, -2.6)


def told(pieces: Listed, finish: str = "stop") -> Answered:
    return answered({"choices": [choice_of(pieces, finish)]})


def test_logit_a_by_hand() -> None:
    # logprob(A) - logprob(B), whichever is written
    assert completion(told(verdict_tokens("A", -0.1, -2.6))).logit_a == pytest.approx(2.5)
    assert completion(told(verdict_tokens("B", -2.6, -0.1))).logit_a == pytest.approx(-2.5)
    # B is not among the listed: the smallest listed, -7, bounds it
    unlisted = [*verdict_tokens("A", 0, 0)[:-2], ("A", {"A": -0.5, "a": -3.0, "The": -7.0})]
    assert completion(told([*unlisted, ("</answer>", {})])).logit_a == pytest.approx(6.5)
    # the answer's letter inside a longer token: `>A</` against `>B</`
    longer = [("<think>x</think><answer", {}), (">A</", {">A</": -1.0, ">B</": -1.5, "B": -9.0})]
    assert completion(told([*longer, ("answer>", {})])).logit_a == pytest.approx(0.5)


def test_a_completion_without_answer_is_an_error_and_no_even_odds() -> None:
    for text in ("I like A.", "<think>x</think>\n<answer>C</answer>", ""):
        with pytest.raises(VerdictParseError):
            completion(told([(text, {})]))
    with pytest.raises(TruncatedError):
        completion(told(verdict_tokens("A", 0, 0), finish="length"))
    with pytest.raises(NoProbabilitiesError, match="no probabilities of the answer"):
        completion(Answered("<think></think><answer>A</answer>", "stop", []))
    with pytest.raises(BackendError, match="not a chat completion"):
        answered({"choices": []})


def test_degrees_by_hand() -> None:
    # 0.6 and 0.2 of the mass are digits: (7 * 0.6 + 3 * 0.2) / 0.8 = 6
    listed = {"7": -0.510826, "3": -1.609438, "x": -1.7}
    rated = degrees(told(rating_tokens(7, listed)))
    assert len(rated) == 10
    assert rated["size"] == rated["stand_out"] == pytest.approx(6.0, abs=1e-5)
    joined = [(" 4", {" 4": -0.69315, " 5": -0.69315})]  # a digit with its space is one token
    pieces = [piece for name in rated for piece in [(f" {name}", {}), *joined]]
    assert degrees(told(pieces))["blur"] == pytest.approx(4.5)
    listed_two = [Token(t, {t: 0.0, "": 0.0}) for t in ("size", " 4", " text")]
    with pytest.raises(VerdictParseError, match="'whole'"):
        degrees(Answered("", "stop", listed_two))
    with pytest.raises(TruncatedError):
        degrees(told(rating_tokens(7, listed), "length"))


def test_the_embedded_models_tokens_are_found(base_folder: Path) -> None:
    """In its tokens a digit and the answer stand alone, as the in-process decoder reads them."""
    tokenizer = Tokenizer.from_file(str(base_folder / "tokenizer.json"))

    def listed(text: str, odds: dict[str, float]) -> Answered:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        pieces = [tokenizer.decode([number]) for number in ids]
        assert "".join(pieces) == text
        return Answered(text, "stop", [Token(p, odds if p in odds else {p: 0.0}) for p in pieces])

    written = completion(listed(complete(LINES, "A"), {"A": -0.25, "B": -1.5}))
    assert written.logit_a == pytest.approx(1.25)
    rated = degrees(listed(target(dict.fromkeys(NAMES, 0.6)), {"5": -0.5, "6": -0.5}))
    assert list(rated.values()) == pytest.approx([5.5] * 10)


def test_what_is_sent() -> None:
    with StubServer(by_title) as server:
        backend = OpenAIBackend(server.url + "/v1/", image_side=56)
        assert (backend.name, backend.folder) == ("stub", None)
        backend.complete([prompt("Boot")])
        backend.image_side = None
        backend.complete([prompt("Boot")])
        first, second = server.asked
    assert (first["model"], first["temperature"]) == ("stub", 0)
    kinds = [part["type"] for part in first["messages"][0]["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "text"]
    head, data = first["messages"][0]["content"][1]["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert sent.convert("RGB").tobytes() == square(WIDE, 56).tobytes()  # not a bit lost
    assert second["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/jpeg")


def test_rows_keep_their_order_and_their_own_errors(caplog: pytest.LogCaptureFixture) -> None:
    titles = ["one", "status 400", "two", "dies", "three", "status 500"]
    with StubServer(by_title) as server:
        backend = OpenAIBackend(server.url, concurrency=3, patience=HASTY)
        rows = backend.complete([prompt(title) for title in titles])
        counts = {title: sum(title_of(b) == title for b in server.asked) for title in titles}
    kinds = [type(row) for row in rows]
    refused, broken = RefusedError, BackendError
    assert kinds == [Completion, refused, Completion, broken, Completion, broken]
    good = rows[0]
    assert isinstance(good, Completion)
    assert good.logit_a == pytest.approx(2.5)
    assert "status 400" in str(rows[1])
    assert counts == dict(zip(titles, [1, 1, 1, 3, 1, 3], strict=True))  # nothing twice but errors


def test_streamed_text_is_told_in_the_calling_thread_and_ends_the_same() -> None:
    heard: list[tuple[int, str, bool]] = []
    here = threading.current_thread()
    with StubServer(by_title) as server:
        backend = OpenAIBackend(server.url)
        whole = backend.complete([prompt("one"), prompt("two")])
        streamed = backend.complete(
            [prompt("one"), prompt("two")],
            lambda row, text: heard.append((row, text, threading.current_thread() is here)),
        )
        assert [body.get("stream", False) for body in server.asked] == [False, False, True, True]
    assert streamed == whole
    assert all(in_caller for _, _, in_caller in heard)
    of_first = [text for row, text, _ in heard if row == 0]
    assert of_first[0] == "<thin"
    assert of_first == sorted(of_first, key=len)
    good = whole[0]
    assert isinstance(good, Completion)
    assert of_first[-1] == good.text
    assert LINES in good.text


def test_observe_is_an_image_a_request() -> None:
    with StubServer(lambda _: rating_tokens(7, {"7": -0.1, "8": -0.1})) as server:
        rated = OpenAIBackend(server.url, image_side=28).observe([WIDE, TALL, WIDE])
        assert [len(body["messages"][0]["content"]) for body in server.asked] == [2, 2, 2]
    assert [row["size"] for row in rated] == pytest.approx([7.5] * 3)


def test_concurrency_is_the_requests_in_flight() -> None:
    with StubServer(by_title, seconds=0.05) as server:
        OpenAIBackend(server.url, concurrency=4).complete([prompt(str(n)) for n in range(12)])
        assert server.busiest == 4
        assert len(server.asked) == 12


def test_a_stop_in_the_caller_begins_no_further_row() -> None:
    begun: list[int] = []

    def work(row: int, tell: object) -> int:
        begun.append(row)
        time.sleep(0.01)
        if row == 1:
            raise KeyboardInterrupt
        return row

    with pytest.raises(KeyboardInterrupt):
        in_threads(work, 1000, 2)
    assert len(begun) < 1000


def test_the_models_that_servers_list() -> None:
    with StubServer(by_title) as one, StubServer(by_title, model="other") as other:
        with pytest.raises(InputError, match="different models: stub, other"):
            OpenAIBackend([one.url, other.url])
        with pytest.raises(InputError, match="serves stub, not 'x'"):
            OpenAIBackend(one.url, model="x")
        gone = other.url
        other.die()
        assert OpenAIBackend([gone, one.url]).name == "stub"
        with pytest.raises(BackendError, match="does not answer"):
            OpenAIBackend(gone)
    for bad in ("ftp://x", "http://"):
        with pytest.raises(InputError, match="a server is http://HOST:PORT"):
            OpenAIBackend(bad)


def test_load_judge_takes_the_config_of_the_served_folder(tmp_path: Path) -> None:
    from creative4u.selector.loading import load_judge

    config = JudgeConfig(
        observe=False, use_pixels=False, use_title_match=False, image_side=28, lm_scale=2.0
    )
    (tmp_path / FILE_NAME).write_text(config.model_dump_json())
    with StubServer(by_title, root=str(tmp_path)) as here, StubServer(by_title) as plain:
        judge = load_judge(here.url)
        assert judge.config == config
        assert load_judge(plain.url, plain.url).config == PAPER
        verdict = judge.select(PairRequest(WIDE, TALL, "Boot"))
    # A first in both orders: sigmoid(2.5 / 2) and its mirror; they disagree at one half
    assert [order.probability_a for order in verdict.orders] == pytest.approx(
        [0.7773, 0.2227], 1e-3
    )
    assert (verdict.choice, verdict.model) == ("inconclusive", "stub")
    with pytest.raises(InputError, match="several are allowed only"):
        load_judge("some/model", "other/model")


def test_a_stop_while_streaming_is_not_a_finished_row() -> None:
    class Enough(Exception):
        pass

    def stop(row: int, text: str) -> None:
        raise Enough

    with StubServer(by_title) as server, pytest.raises(Enough):
        OpenAIBackend(server.url).complete([prompt("one")], stop)


def test_bodies_are_json(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with StubServer(by_title) as server:
        OpenAIBackend(server.url).complete([prompt('Boot "\\ ü 靴')])
        assert title_of(server.asked[0]) == 'Boot "\\ ü 靴'
        assert json.dumps(server.asked[0])
    assert caplog.records == []
