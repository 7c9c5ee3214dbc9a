"""Every verb that reads a user's file: a path that cannot be read is one line and exit code 2."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from creative4u.cli import app

VERDICT = {"pair_id": "1", "choice": "A", "consistent": True, "probability_a": 0.9, "orders": []}
# PATH is the bad one; every other file is good.
VERBS = [
    ["select", "PATH", "PATH", "--title", "Boot"],
    ["rank", "PATH", "PATH", "--title", "Boot"],
    ["judge", "PATH.jsonl", "-o", "out.jsonl"],
    ["judge", "PATH.csv", "-o", "out.jsonl"],
    ["judge", "PATH.parquet", "-o", "out.jsonl"],
    ["judge-export", "PATH.jsonl", "-o", "out.jsonl", "--requests", "requests.jsonl"],
    ["judge-import", "pairs.jsonl", "PATH", "-o", "out.jsonl"],
    ["evaluate", "PATH"],
    ["evaluate", "PATH.parquet"],
    ["evaluate", "verdicts.jsonl", "--pairs", "PATH.jsonl"],
    ["bench", "judge", "PATH.jsonl"],
    ["ctr", "score", "PATH", "PATH", "--title", "Boot"],
    ["ctr", "newcomer", "PATH", "--out", "out"],
    ["ctr", "train", "PATH", "--out", "out"],
    ["ctr", "pairs", "PATH", "--out", "out.jsonl"],
    ["ctr", "evaluate", "PATH", "PATH"],
    ["ctr", "simulate", "PATH"],
    ["data", "sanity", "PATH", "--out", "out"],
    ["data", "pairs", "--log", "PATH", "--images", "PATH", "--out", "out"],
    ["data", "reason", "--pairs", "PATH", "--out", "out", "--images", "PATH"],
    ["data", "pack", "--pairs", "PATH.jsonl", "--out", "out"],
    ["data", "check", "PATH.jsonl"],
    ["data", "ceiling", "--pairs", "PATH.csv", "--out", "out.json"],
    ["rft", "sft", "PATH.yaml"],
    ["rft", "sft", "smoke", "singles=PATH"],
    ["rft", "sft", "smoke", "stages.0.pairs=4", "stages.0.singles=0", "pairs=[PATH.jsonl]"],
    ["rft", "grpo", "PATH.yaml"],
    ["rft", "memory", "PATH.yaml"],
    ["rft", "probe", "--singles", "PATH", "--out", "out"],
    ["rft", "weigh", "PATH.jsonl", "--out", "out.json"],
    ["rft", "observe", "--singles", "PATH", "--model", "PATH"],
    ["rft", "calibrate", "PATH", "--model", "model"],
    ["rft", "evaluate", "out", "--pairs", "PATH.jsonl"],
    ["rft", "merge", "PATH", "--out", "out"],
    ["moon", "evaluate", "--items", "PATH.jsonl"],
    ["moon", "evaluate", "--world", "PATH"],
    ["moon", "index", "PATH", "--out", "out"],
    ["moon", "search", "PATH", "--text", "boot"],
    ["moon", "embed", "--image", "PATH"],
]


def missing(path: Path) -> None:
    """Nothing is there."""


def directory(path: Path) -> None:
    path.mkdir()


def dangling_link(path: Path) -> None:
    path.symlink_to("gone")


def circle(path: Path) -> None:
    path.symlink_to(path)


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 8)


def empty(path: Path) -> None:
    path.touch()


# What is made of a name; a path through a file is refused by the system even for root.
BAD: list[tuple[str, Callable[[Path], None]]] = [
    ("none", missing), ("n" * 300, missing), ("pairs.jsonl/inside", missing), ("folder", directory),
    (os.fsdecode(b"\xff\xfe"), missing), (os.fsdecode(b"\xff"), binary), ("link", dangling_link),
    ("circle", circle), ("binary", binary), ("empty", empty),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pair = {"pair_id": "1", "product_title": "Boot", "image_a": "a.png", "image_b": "b.png"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair))
    (tmp_path / "verdicts.jsonl").write_text(json.dumps(VERDICT))
    return tmp_path


@functools.cache
def command() -> Any:
    """The front door, built once: that takes longer than most of these calls."""
    return typer.main.get_command(app)


@pytest.mark.parametrize(("name", "make"), BAD, ids=lambda one: ascii(one)[:12])
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_path_that_cannot_be_read_is_one_line(
    verb: list[str],
    name: str,
    make: Callable[[Path], None],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ending = next((Path(word.rstrip("]")).suffix for word in verb if "PATH." in word), "")
    path = folder / f"{name}{ending}"
    make(path)
    written = [word.replace(f"PATH{ending}", str(path)) for word in verb]
    with pytest.raises(SystemExit) as stopped:  # anything else is a traceback
        command().main(written, prog_name="creative4u")
    said = capsys.readouterr().err
    assert stopped.value.code == 2, said
    assert len([line for line in said.splitlines() if line.startswith("creative4u: ")]) == 1, said
