"""Drafts by hand: what followed most often, in this line, after the longest context known."""

from pathlib import Path

import pytest

from creative4u.selector.decoding import speculation
from creative4u.selector.decoding.speculation import (
    UNSEEN,
    Drafts,
    read_usual_lines,
    usual_lines,
    write_usual_lines,
)


def test_the_most_frequent_follower_is_guessed_with_its_share() -> None:
    known = Drafts()
    for token in (7, 8, 8):
        known.learn(2, [0, 1, 2, 3], token)
    assert known.guess(2, [9, 1, 2, 3]) == (8, 2 / (3 + UNSEEN))
    assert known.guess(2, [1, 2]) is None
    assert known.guess(3, [1, 2, 3]) is None  # another line


def test_the_longest_known_context_decides() -> None:
    known = Drafts()
    for _ in range(5):
        known.learn(0, [9, 9, 1, 2, 3], 7)
    known.learn(0, [4, 5, 1, 2, 3], 8)
    assert known.guess(0, [4, 5, 1, 2, 3]) == (8, 1 / (1 + UNSEEN))  # five tokens
    assert known.guess(0, [6, 6, 1, 2, 3]) == (7, 5 / (6 + UNSEEN))  # only three


def test_digits_are_no_part_of_a_context() -> None:
    known = Drafts(digits=[0, 1])
    known.learn(0, [5, 0, 1, 6, 7], 8)
    assert known.guess(0, [5, 6, 1, 7]) == (8, 1 / (1 + UNSEEN))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speculation, "KEPT", 2)
    known = Drafts()
    for line in range(3):
        known.learn(line, [1], 5)
    guesses = [known.guess(line, [1]) for line in range(3)]
    assert guesses == [None, None, (5, 1 / (1 + UNSEEN))]


def test_usual_lines_are_those_written_again_and_again(tmp_path: Path) -> None:
    said = [
        f"<think>\ntext: text A+{n}; B has text. A<B\nclick: A leads\n</think><answer>A</answer>"
        for n in (4, 12, 7)
    ]
    told = [*said, "<think>\ntext: once. A=B\nsize 4 whole 9"]
    lines = usual_lines(told)
    assert lines["text"] == {" text A+; B has text. A<B": 3}
    assert "click" not in lines
    assert "size 4 whole 9" not in lines
    write_usual_lines(told, tmp_path)
    assert read_usual_lines(tmp_path) == lines
    assert read_usual_lines(tmp_path / "none") == {}
