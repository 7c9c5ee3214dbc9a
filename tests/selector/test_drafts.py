"""Drafts by hand: what followed most often, in this line, after these tokens."""

import pytest

from creative4u.selector import drafts
from creative4u.selector.drafts import Drafts


def test_the_most_frequent_follower_of_the_last_three_tokens_is_guessed() -> None:
    known = Drafts()
    for token in (7, 8, 8):
        known.learn(2, [0, 1, 2, 3], token)
    assert known.guess(2, [9, 1, 2, 3]) == 8
    assert known.guess(2, [1, 2]) is None
    assert known.guess(3, [1, 2, 3]) is None  # another line


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "KEPT", 2)
    known = Drafts()
    for line in range(3):
        known.learn(line, [1], 5)
    assert [known.guess(line, [1]) for line in range(3)] == [None, None, 5]
