"""The teacher against a server played by the test: kept, dropped, retried, and resumed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from creative4u.files.pairs_file import good_pairs
from creative4u.schema import CreativePair
from creative4u.selector.protocol.completion import complete
from data.creative_pair.reasoning.add_reasoning import Dropped, Reasoned, add_reasoning
from data.creative_pair.reasoning.from_teacher import Teacher, TeacherConfig

LINES = "\n".join([
    "same_image: two pictures. no", "too_similar: the sizes differ. no",
    *(f"{key}: A is better. A>B" for key in ("query_hit", "title_hit", "text", "props", "layout",
                                             "subject", "background")),
    "click: A leads"])


class Server:
    """Answers by the pair's title; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body: dict[str, Any] = json.loads(request.content)
        parts = body["messages"][0]["content"]
        pictures = [part for part in parts if part["type"] == "image_url"]
        assert len(pictures) == 2
        data = pictures[0]["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
        assert base64.b64decode(data).startswith(b"\xff\xd8\xff")
        title = parts[0]["text"].split("Title: ")[1].split("\n")[0]
        self.asked.append(title)
        if title == "down" and self.down:
            return httpx.Response(503)
        text = "I like A." if title == "chatty" else complete(LINES, "A")
        return httpx.Response(200, json={"choices": [{"message": {"content": text}}]})


@pytest.fixture
def pairs(tmp_path: Path) -> list[CreativePair]:
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    Image.new("RGB", (40, 40), "blue").save(tmp_path / "b.png")
    return [CreativePair.model_validate({
        "pair_id": title, "product_title": title, "image_a": "a.png",
        "image_b": "gone.png" if title == "imageless" else "b.png",
        "label": "B" if title == "other" else "A"})
        for title in ("good", "other", "chatty", "down", "imageless")]


def teacher(folder: Path, server: Server, model: str = "any") -> Teacher:
    config = TeacherConfig("http://teacher/v1", model, concurrency=3, retries=0)
    return Teacher(config, folder, folder / "journal.jsonl", httpx.MockTransport(server))


def test_outcomes_are_kept_dropped_and_counted(tmp_path: Path, pairs: list[CreativePair]) -> None:
    server = Server()
    server.down = True
    report = add_reasoning(pairs, teacher(tmp_path, server), tmp_path)
    assert report.kept == 1
    assert sum(report.dropped.values()) == 4
    assert report.dropped["the choice disagrees with the label"] == 1
    assert report.dropped["unparsable completion"] == 1
    assert report.dropped["server: HTTPStatusError"] == 1
    told = {pair.pair_id: pair.reasoning for pair in good_pairs(tmp_path)}
    assert told["good"] == LINES
    assert told["other"] is None


def test_a_rerun_asks_only_where_the_server_had_failed(tmp_path: Path,
                                                       pairs: list[CreativePair]) -> None:
    server = Server()
    server.down = True
    first = {row.pair_id: row for row in teacher(tmp_path, server).reasons(pairs)}
    assert first["down"] == Dropped("down", "server: HTTPStatusError")
    server.down, server.asked = False, []
    second = {row.pair_id: row for row in teacher(tmp_path, server).reasons(pairs)}
    assert server.asked == ["down"]
    assert isinstance(second["down"], Reasoned)
    assert {name: second[name] for name in second if name != "down"} == {
        name: first[name] for name in first if name != "down"}


def test_another_teacher_is_asked_for_itself(tmp_path: Path, pairs: list[CreativePair]) -> None:
    server = Server()
    list(teacher(tmp_path, server).reasons(pairs))
    first, server.asked = sorted(server.asked), []
    list(teacher(tmp_path, server, "other").reasons(pairs))
    assert sorted(server.asked) == first


def test_a_journal_line_cut_by_a_kill_is_asked_again(tmp_path: Path,
                                                     pairs: list[CreativePair]) -> None:
    server = Server()
    due = {row.pair_id: row for row in teacher(tmp_path, server).reasons(pairs)}
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    cut = next(line for line in lines if '"good"' in line)
    journal.write_text("".join(line for line in lines if line is not cut) + cut[:30], "utf-8")
    server.asked = []
    assert {row.pair_id: row for row in teacher(tmp_path, server).reasons(pairs)} == due
    assert server.asked == ["good"]
    assert {row.pair_id: row for row in teacher(tmp_path, server).reasons(pairs)} == due
