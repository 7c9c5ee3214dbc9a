"""Batches in flight: servers are kept busy across them, and rows still come in their order."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from judge_by_title import QUIET, TITLES, ByTitle, read, write
from stub_openai import Body, Listed, StubServer, verdict_tokens

from creative4u.errors import Creative4UError
from creative4u.schema import Verdict
from creative4u.selector.backends.openai_server import OpenAIBackend
from creative4u.selector.config import PAPER
from creative4u.selector.judge import Judge, PairRequest
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs
from creative4u.serving.batch.local_engine import InProcess


class LastFirst(ByTitle):
    """The first batch is answered only when the third has been asked."""

    def __init__(self) -> None:
        super().__init__()
        self.third = threading.Event()

    def select_many(self, requests: Sequence[PairRequest]) -> list[Verdict | Creative4UError]:
        if requests[0].title.startswith("seven"):
            self.third.set()
        if requests[0].title.startswith("one"):
            assert self.third.wait(30)
        return super().select_many(requests)


def test_rows_wait_for_those_before_them(tmp_path: Path) -> None:
    pairs, one, many = write(tmp_path, TITLES), tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    judge_pairs(pairs, one, ByTitle(), QUIET)
    judge_pairs(pairs, many, LastFirst(), BatchConfig(batch_size=3, in_flight=3, progress=False))
    assert many.read_bytes() == one.read_bytes()


def test_requests_of_several_batches_share_the_concurrency(tmp_path: Path) -> None:
    together = threading.Barrier(6)

    def answer(body: Body) -> Listed:
        together.wait(30)  # no answer before six are in flight: more than a batch of two pairs has
        return verdict_tokens("A", -0.1, -2.6)

    pairs, out = write(tmp_path, [f"boot {n}" for n in range(12)]), tmp_path / "out.jsonl"
    with StubServer(answer) as server:
        judge = Judge(OpenAIBackend(server.url, concurrency=6), PAPER, None)  # type: ignore[arg-type]
        judge_pairs(pairs, out, judge, BatchConfig(batch_size=2, in_flight=3, progress=False))
        assert server.busiest == 6
    assert [row["pair_id"] for row in read(out)] == [f"p{n}" for n in range(12)]
    assert all("choice" in row for row in read(out))


class Breaks(ByTitle):
    """Stops in the second batch, with the third in flight."""

    def select_many(self, requests: Sequence[PairRequest]) -> list[Verdict | Creative4UError]:
        if requests[0].title == "fourA" and self.stop_at:
            raise KeyboardInterrupt
        return super().select_many(requests)


def test_a_stop_keeps_what_came_before_it(tmp_path: Path) -> None:
    pairs, out, whole = write(tmp_path, TITLES), tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    judge_pairs(pairs, whole, ByTitle(), QUIET)
    judge = Breaks()
    judge.stop_at = "fourA"
    engine = InProcess(judge, batch_size=3, in_flight=3)
    with pytest.raises(KeyboardInterrupt):
        judge_pairs(pairs, out, engine, QUIET)
    assert [row["pair_id"] for row in read(out)] == ["p0", "p1", "p2"]
    judge.stop_at = None
    judge_pairs(pairs, out, engine, QUIET)
    assert out.read_bytes() == whole.read_bytes()
    assert json.loads((tmp_path / "out.jsonl.meta.json").read_text())["model"] == "by-title"


class TwoCores(ByTitle):
    """A judge in this process whose backend takes two calls at once."""

    @property
    def backend(self) -> TwoCores:
        return self

    def share_cores(self) -> int:
        return 2


def test_a_short_file_is_cut_so_that_each_core_has_some(tmp_path: Path) -> None:
    titles = [f"boot {n}" for n in range(5)]
    pairs, out, judge = write(tmp_path, titles), tmp_path / "out.jsonl", TwoCores()
    judge_pairs(pairs, out, judge, BatchConfig(batch_size=16, progress=False))
    assert sorted(judge.batches) == [2, 3]
    assert [row["pair_id"] for row in read(out)] == [f"p{n}" for n in range(5)]
