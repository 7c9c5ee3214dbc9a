"""Batch requests out and answers in: any order, in part, with failures; the same as judging now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from stub_openai import Body, Listed, StubServer, choice_of, verdict_tokens

from creative4u.errors import InputError
from creative4u.selector.backends.openai_server import OpenAIBackend
from creative4u.selector.backends.prompt_only import PromptsOnly
from creative4u.selector.config import JudgeConfig
from creative4u.selector.evidence.properties import Match
from creative4u.selector.judge import Judge
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs
from creative4u.serving.openai_batch.requests import read_answers, write_requests

CONFIG = JudgeConfig(observe="model", use_pixels=False, use_title_match=False, image_side=28)
ROWS = ["boot", "bag", "", "watch"]  # the third has no title, and so no request


class Observes(PromptsOnly):
    """Every image has the same size."""

    def observe(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        return [{"size": 6.0} for _ in images]


class Served(OpenAIBackend):
    def observe(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        return [{"size": 6.0} for _ in images]


class NoEvidence:
    def seen(
        self, images: Sequence[Image.Image], probe: bool
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        raise AssertionError

    def classify(self, images: Sequence[Image.Image]) -> list[tuple[str, float]]:
        raise AssertionError

    def read(self, images: Sequence[Image.Image]) -> list[tuple[str, ...]]:
        raise AssertionError

    def match(self, image: Image.Image, title: str, queries: tuple[str, ...]) -> Match:
        raise AssertionError


def asker() -> Judge:
    return Judge(Observes("stub"), CONFIG, NoEvidence())


def said(body: Body) -> Listed:
    """Log odds by the title's length, the same in both orders."""
    text: str = body["messages"][0]["content"][0]["text"]
    title = text.partition("Title: ")[2].partition("\n")[0]
    return verdict_tokens("A", 0.0, -float(len(title)))


def write_pairs(folder: Path) -> Path:
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (40, 30), colour).save(folder / name)
    rows = [
        {"pair_id": f"p:{n}", "product_title": title, "image_a": "a.png", "image_b": "b.png",
         "label": "A"}
        for n, title in enumerate(ROWS)
    ]  # fmt: skip
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers_to(requests: Path) -> list[dict[str, Any]]:
    """What `vllm run-batch` writes: one line a request."""
    lines = [json.loads(line) for line in requests.read_text().splitlines()]
    return [
        {
            "id": "vllm-1",
            "custom_id": line["custom_id"],
            "response": {"status_code": 200, "body": {"choices": [choice_of(said(line["body"]))]}},
            "error": None,
        }
        for line in lines
    ]


def write(path: Path, lines: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_requests_are_what_run_batch_takes(tmp_path: Path) -> None:
    pairs, requests = write_pairs(tmp_path), tmp_path / "requests.jsonl"
    told = write_requests(pairs, tmp_path / "out.jsonl", requests, asker())
    assert told == {"requests": 6, "pairs": 3, "errors": 1, "model": "stub"}
    lines = read(requests)
    names = [line["custom_id"] for line in lines]
    assert names == ["p:0:AB:0", "p:0:BA:0", "p:1:AB:1", "p:1:BA:1", "p:3:AB:3", "p:3:BA:3"]
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    first, second = (line["body"]["messages"][0]["content"] for line in lines[:2])
    assert first[1] == second[3]  # the orders show the same two images the other way round
    assert first[2]["text"] == " size 6\nCreative B: "
    assert not (tmp_path / "out.jsonl").exists()


def test_answers_in_any_order_are_the_verdicts_of_judging_now(tmp_path: Path) -> None:
    pairs, requests, out = (
        write_pairs(tmp_path), tmp_path / "requests.jsonl", tmp_path / "out.jsonl",
    )  # fmt: skip
    write_requests(pairs, out, requests, asker())
    found = write(tmp_path / "answers.jsonl", answers_to(requests)[::-1])
    figures = read_answers(pairs, out, [found], again=False)
    assert (figures["n"], figures["errors"], figures["labelled"]) == (4, 1, 3)
    with StubServer(said) as server:
        judge = Judge(Served(server.url, image_side=28), CONFIG, NoEvidence())
        now = tmp_path / "now.jsonl"
        judge_pairs(pairs, now, judge, BatchConfig(progress=False))
        bodies = [line["body"] for line in read(requests)]
        assert len(server.asked) == 6
        assert all(body in bodies for body in server.asked)
    assert [row | {"seconds": 0.0} if "seconds" in row else row for row in read(now)] == read(out)
    again = judge_pairs(pairs, out, judge, BatchConfig(progress=False))  # a finished file
    assert again["n"] == 4


def test_what_fails_is_an_error_row_and_later_answers_mend_it(tmp_path: Path) -> None:
    pairs, requests, out = (
        write_pairs(tmp_path), tmp_path / "requests.jsonl", tmp_path / "out.jsonl",
    )  # fmt: skip
    write_requests(pairs, out, requests, asker())
    good = answers_to(requests)
    refused = good[0] | {"response": {"status_code": 400, "body": {"error": "too long"}}}
    cut = good[2] | {
        "response": {
            "status_code": 200,
            "body": {"choices": [choice_of(verdict_tokens("A", 0, 0)[:3], "length")]},
        }
    }
    some = write(tmp_path / "some.jsonl", [refused, good[1], cut, good[3], good[4]])
    read_answers(pairs, out, [some], again=False)
    codes = [row["error"]["code"] for row in read(out)]
    assert codes == ["refused", "truncated", "bad_row", "backend"]
    assert "no answer to p:3:BA:3" in read(out)[3]["error"]["message"]
    with pytest.raises(InputError, match="exists"):
        read_answers(pairs, out, [some], again=False)
    rest = write(tmp_path / "rest.jsonl", [good[0], good[2], good[5]])
    read_answers(pairs, out, [some, rest], again=True)
    # the truncated one had its answer: the first that the server gave counts
    assert [row.get("choice") or row["error"]["code"] for row in read(out)] == [
        "inconclusive", "truncated", "bad_row", "inconclusive",
    ]  # fmt: skip


def test_what_does_not_belong_together(tmp_path: Path) -> None:
    pairs, requests, out = (
        write_pairs(tmp_path), tmp_path / "requests.jsonl", tmp_path / "out.jsonl",
    )  # fmt: skip
    with pytest.raises(InputError, match="judge-export with the same -o writes it"):
        read_answers(pairs, out, [requests], again=False)
    write_requests(pairs, out, requests, asker())
    good = answers_to(requests)
    foreign = write(tmp_path / "foreign.jsonl", [good[0] | {"custom_id": "x:AB:0"}])
    with pytest.raises(InputError, match="x:AB:0 belongs to none"):
        read_answers(pairs, out, [foreign], again=False)
    with pytest.raises(InputError, match="line 1: not a batch answer"):
        read_answers(pairs, out, [pairs], again=False)
    assert not out.exists()
    pairs.write_text(pairs.read_text() + "\n")
    with pytest.raises(InputError, match="made from other pairs"):
        read_answers(pairs, out, [write(tmp_path / "a.jsonl", good)], again=False)


def test_one_picture_is_a_tie_that_nothing_is_asked_about(tmp_path: Path) -> None:
    pairs, requests, out = (
        write_pairs(tmp_path), tmp_path / "requests.jsonl", tmp_path / "out.jsonl",
    )  # fmt: skip
    rows = read(pairs)
    rows[1] |= {"image_b": "a.png"}
    write(pairs, rows)
    told = write_requests(pairs, out, requests, asker())
    assert (told["requests"], told["pairs"]) == (4, 2)
    assert not any(line["custom_id"].startswith("p:1:") for line in read(requests))
    read_answers(pairs, out, [write(tmp_path / "a.jsonl", answers_to(requests))], again=False)
    row = read(out)[1]
    assert (row["choice"], row["answers"]["same_image"], row["log_odds_lm"]) == ("tie", "yes", None)
    assert row["evidence"]["A"] == row["evidence"]["B"]
    with StubServer(said) as server:
        judge = Judge(Served(server.url, image_side=28), CONFIG, NoEvidence())
        now = tmp_path / "now.jsonl"
        judge_pairs(pairs, now, judge, BatchConfig(progress=False))
        assert len(server.asked) == 4
    for one, other in zip(read(now), read(out), strict=True):
        assert one | {"seconds": 0.0} == other | {"seconds": 0.0}


def test_requests_that_keep_no_evidence_are_not_answered_with_none(tmp_path: Path) -> None:
    pairs, requests, out = (
        write_pairs(tmp_path), tmp_path / "requests.jsonl", tmp_path / "out.jsonl",
    )  # fmt: skip
    write_requests(pairs, out, requests, asker())
    beside = tmp_path / "out.jsonl.batch.jsonl"
    rows = [{k: v for k, v in row.items() if k != "evidence"} for row in read(beside)]
    write(beside, rows)
    answers = write(tmp_path / "a.jsonl", answers_to(requests))
    with pytest.raises(InputError, match="holds no evidence; write it again with judge-export"):
        read_answers(pairs, out, [answers], again=False)
