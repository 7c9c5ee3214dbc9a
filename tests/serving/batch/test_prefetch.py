"""Items made in a thread: all of them, in order, no further ahead than allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from creative4u.serving.batch.prefetch import ahead


def test_all_items_in_order() -> None:
    assert list(ahead(iter(range(100)), 3)) == list(range(100))
    assert list(ahead(iter(()), 3)) == []


def test_what_goes_wrong_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("bad row")

    got = ahead(items(), 3)
    assert next(got) == 1
    with pytest.raises(ValueError, match="bad row"):
        next(got)


def test_the_next_are_made_meanwhile_and_a_close_ends_the_making() -> None:
    made: list[int] = []
    enough, ended = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        try:
            for number in range(1000):
                made.append(number)
                if number == 3:
                    enough.set()
                yield number
        finally:
            ended.set()

    source = items()
    got = ahead(source, 2)
    assert next(got) == 0
    assert enough.wait(10)  # one taken, two ready, one waiting for its place: nobody asked for them
    assert made == [0, 1, 2, 3]
    del source
    got.close()  # type: ignore[attr-defined]
    assert ended.wait(10)
