"""What servers say of themselves: fewer alternatives, no probabilities, other fields, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stub_openai import (
    Answer,
    Body,
    Listed,
    Reply,
    StubServer,
    at_most,
    choice_of,
    rating_tokens,
    verdict_tokens,
    with_reasoning,
    without_probabilities,
)
from typer.testing import CliRunner

from creative4u.cli import app
from creative4u.errors import (
    ContentFilterError,
    Creative4UError,
    DeniedError,
    InputError,
    ModelRefusalError,
    NoProbabilitiesError,
    RefusedError,
)
from creative4u.selector.backends.openai_format import answered, completion, degrees
from creative4u.selector.backends.openai_server import OpenAIBackend
from creative4u.selector.backends.server_pool import Patience, retry_after
from creative4u.selector.backends.server_probe import fewer_alternatives
from creative4u.selector.config import PAPER
from creative4u.selector.judge import Judge
from creative4u.selector.loading import load_judge
from creative4u.selector.protocol.backend import Completion, Prompt
from creative4u.selector.protocol.prompt import comparison_messages
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs

HASTY = Patience(timeout=5.0, connect=1.0, outage=0.5, tries=3, first_pause=0.02, longest_pause=0.1)
IMAGE = Image.new("RGB", (30, 30))


def prompts(count: int = 1) -> list[Prompt]:
    return [Prompt(comparison_messages(f"boot {n}", ()), (IMAGE, IMAGE)) for n in range(count)]


def verdict(_: Body) -> Listed:
    return verdict_tokens("A", -0.1, -2.6)


def refused(said: str, status: int = 400, code: str = "") -> Callable[[Body], Reply]:
    return lambda _: Reply({"error": {"message": said, "code": code}}, status)


def outcome(answer: Callable[[Body], Answer]) -> Completion | Creative4UError:
    with StubServer(answer) as server:
        return OpenAIBackend(server.url, patience=HASTY).complete(prompts())[0]


@pytest.mark.parametrize("most", [5, 8, 2])
def test_the_probe_finds_how_many_alternatives_there_are(most: int) -> None:
    with StubServer(at_most(most, verdict), probe=at_most(most, verdict)) as server:
        rows = OpenAIBackend(server.url, patience=HASTY).complete(prompts(3))
        assert [body["top_logprobs"] for body in server.probes] == [20, most]
        assert [body["top_logprobs"] for body in server.asked] == [most] * 3
    assert [row.logit_a for row in rows if isinstance(row, Completion)] == pytest.approx([2.5] * 3)


def test_a_limit_that_only_the_rows_meet_is_taken_up_too() -> None:
    with StubServer(at_most(5, verdict)) as server:
        rows = OpenAIBackend(server.url, concurrency=2, patience=HASTY).complete(prompts(6))
        assert server.asked[-1]["top_logprobs"] == 5
    assert all(isinstance(row, Completion) for row in rows)


@settings(deadline=None)
@given(most=st.integers(1, 19), asked=st.integers(1, 20))
def test_a_named_limit_is_taken_and_else_the_next_smaller(most: int, asked: int) -> None:
    told = f"top_logprobs must be between 0 and {most}, got {asked}"
    said = f"http://h:1/v1 refused: status 400 {told}"
    found = fewer_alternatives(said, asked)
    assert found is not None
    assert found == most if most < asked else found < asked
    assert fewer_alternatives("http://h refused: status 400 too long: 5000 tokens", asked) is None
    steps = [asked]
    while (step := fewer_alternatives("x refused: status 400 no logprobs", steps[-1])) is not None:
        steps.append(step)
    assert steps == sorted(set(steps), reverse=True)
    assert steps[-1] == 0


def test_no_probabilities_are_an_error_and_never_one_half(tmp_path: Path) -> None:
    bare = without_probabilities(verdict)
    assert isinstance(outcome(bare), NoProbabilitiesError)  # the probe saw some, the row none
    with StubServer(bare, probe=bare) as server:
        rows = OpenAIBackend(server.url).complete(prompts(2))
        assert server.asked == []  # asking would be in vain
    assert [type(row) for row in rows] == [NoProbabilitiesError] * 2
    refuses = refused("logprobs are not supported by this model")

    def only_without(body: Body) -> Answer:
        return refuses(body) if "logprobs" in body else verdict(body)

    with StubServer(only_without, probe=only_without) as server:
        rows = OpenAIBackend(server.url).complete(prompts(1))
        assert "logprobs" not in server.probes[-1]
    assert isinstance(rows[0], NoProbabilitiesError)


def test_a_file_judged_without_probabilities_has_no_ece(tmp_path: Path) -> None:
    bare = without_probabilities(verdict)
    out = tmp_path / "verdicts.jsonl"
    with StubServer(bare, probe=bare) as server:
        judge = Judge(OpenAIBackend(server.url), PAPER, None)  # type: ignore[arg-type]
        figures = judge_pairs(write_pairs(tmp_path), out, judge, BatchConfig(progress=False))
    assert figures["errors_by_code"] == {"no_probabilities": 3}
    done = CliRunner().invoke(app, ["evaluate", str(out), "--no-statistics", "--json"])
    assert json.loads(done.stdout)["ece"] is None
    done = CliRunner().invoke(app, ["evaluate", str(out), "--no-statistics"])
    assert "ECE not measured" in " ".join(done.stdout.split())


def test_odds_need_an_alternative_in_the_answers_place() -> None:
    def listed(**odds: float) -> Completion:
        pieces = [*verdict_tokens("A", 0, 0)[:-2], ("A", odds), ("</answer>", {})]
        return completion(answered({"choices": [choice_of(pieces)]}))

    assert listed(A=-0.7, B=-0.7).logit_a == 0  # measured: truly even
    assert listed(A=-0.1, x=-4.0).logit_a == pytest.approx(3.9)
    for odds in ({"A": -0.1}, {"A": -4.0, "x": -0.1}):  # alone, or the least likely that is listed
        with pytest.raises(NoProbabilitiesError):
            listed(**odds)
    with pytest.raises(NoProbabilitiesError, match="digit of size"):
        degrees(answered({"choices": [choice_of(rating_tokens(5, {}))]}))


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_beside_the_content_is_read(name: str) -> None:
    def apart(_: Body) -> Reply:
        return with_reasoning(name, verdict_tokens("A", -0.1, -2.6))

    heard: list[str] = []
    with StubServer(apart) as server:
        backend = OpenAIBackend(server.url)
        whole = backend.complete(prompts())
        streamed = backend.complete(prompts(), lambda _, text: heard.append(text))
    assert streamed == whole
    assert isinstance(whole[0], Completion)
    assert whole[0].logit_a == pytest.approx(2.5)
    assert whole[0].text.startswith("<think>\nsame_image: ")
    assert heard[-1] == whole[0].text


def test_reasoning_whose_tokens_are_not_listed_is_read_all_the_same() -> None:
    reply = with_reasoning("reasoning", verdict_tokens("B", -2.6, -0.1))
    listed = reply.body["choices"][0]["logprobs"]["content"]
    reply.body["choices"][0]["logprobs"]["content"] = [
        {"token": "<answer>", "logprob": 0.0, "top_logprobs": []}, *listed[-2:],
    ]  # fmt: skip
    assert completion(answered(reply.body)).logit_a == pytest.approx(-2.5)


def test_what_kept_an_answer_from_being_one_has_a_name() -> None:
    declined = {"finish_reason": "stop", "message": {"content": None, "refusal": "I cannot."}}
    filtered = {"finish_reason": "content_filter", "message": {"content": ""}}
    for choice, kind in ((declined, ModelRefusalError), (filtered, ContentFilterError)):
        row = outcome(lambda _, choice=choice: Reply({"choices": [choice]}))
        assert type(row) is kind
    assert "I cannot." in str(outcome(lambda _: Reply({"choices": [declined]})))
    row = outcome(refused("held back by policy", 400, "content_filter"))
    assert type(row) is ContentFilterError
    assert type(outcome(refused("too long"))) is RefusedError


def test_a_busy_server_is_waited_for_as_long_as_it_says() -> None:
    waits = iter(["0", "0", "0", "0", "0"])  # more often than `tries`

    def busy(body: Body) -> Answer:
        wait = next(waits, None)
        return verdict(body) if wait is None else Reply({}, 429, {"Retry-After": wait})

    assert isinstance(outcome(busy), Completion)
    row = outcome(lambda _: Reply({}, 503, {"Retry-After": "90000"}))
    assert isinstance(row, Creative4UError)
    assert "asks to wait 90000 s" in str(row)


@settings(deadline=None)
@given(seconds=st.integers(0, 10_000))
def test_retry_after_in_seconds_and_as_a_date(seconds: int) -> None:
    def waits(said: str, status: int = 429) -> float | None:
        return retry_after(httpx.Response(status, headers={"Retry-After": said}))

    assert waits(str(seconds)) == seconds
    assert waits(str(seconds), 500) is None
    when = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    found = waits(format_datetime(when, usegmt=True), 503)
    assert found is not None
    assert found <= seconds
    assert found >= seconds - 60
    assert waits("soon") is None
    assert waits("nan") is None
    assert retry_after(httpx.Response(429)) is None


@pytest.mark.parametrize(("status", "code"), [
    (401, ""), (402, ""), (403, ""), (404, "model_not_found"), (429, "insufficient_quota"),
])  # fmt: skip
def test_a_refusal_of_every_request_ends_the_run(tmp_path: Path, status: int, code: str) -> None:
    denied = refused("not you", status, code)
    with StubServer(verdict, probe=denied) as server:
        with pytest.raises(DeniedError, match="not you"):
            OpenAIBackend(server.url, patience=HASTY)
        assert len(server.probes) == 1

    def after_two(body: Body) -> Answer:
        return verdict(body) if len(server.asked) <= 2 else denied(body)

    pairs, out = write_pairs(tmp_path), tmp_path / "out.jsonl"
    with StubServer(after_two) as server:
        judge = Judge(OpenAIBackend(server.url, concurrency=1), PAPER, None)  # type: ignore[arg-type]
        with pytest.raises(DeniedError):
            judge_pairs(pairs, out, judge, BatchConfig(batch_size=1, progress=False))
        assert 3 <= len(server.asked) < 6  # what was in flight may still be asked, the rest is not
    assert [json.loads(line)["pair_id"] for line in out.read_text().splitlines()] == ["0"]
    with StubServer(verdict) as server:  # the key is mended: the run goes on
        judge = Judge(OpenAIBackend(server.url), PAPER, None)  # type: ignore[arg-type]
        assert judge_pairs(pairs, out, judge, BatchConfig(progress=False))["n"] == 3
        assert len(server.asked) == 4


def test_a_bad_request_on_the_probe_ends_the_run_in_one_line(tmp_path: Path) -> None:
    no_images = refused("this model takes no images")
    with StubServer(verdict, probe=no_images) as server:
        load_judge.cache_clear()
        words = [str(write_pairs(tmp_path)), "-o", str(tmp_path / "out.jsonl")]
        done = CliRunner().invoke(app, ["judge", *words, "--model", server.url])
        assert server.asked == []
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "this model takes no images" in done.stderr
    with StubServer(verdict) as server, pytest.raises(InputError, match="serves stub"):
        OpenAIBackend(server.url, model="another")


def test_a_server_that_is_busy_at_the_probe_is_asked_with_the_rows() -> None:
    with StubServer(verdict, probe=lambda _: 503) as server:
        rows = OpenAIBackend(server.url, patience=HASTY).complete(prompts(2))
        assert len(server.probes) == 1
    assert all(isinstance(row, Completion) for row in rows)


def write_pairs(folder: Path) -> Path:
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (40, 30), colour).save(folder / name)
    rows = [{"pair_id": str(n), "product_title": "boot", "image_a": "a.png", "image_b": "b.png",
             "label": "A"} for n in range(3)]  # fmt: skip
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
