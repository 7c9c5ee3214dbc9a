"""Prefetch an iterator's next items in a thread, in the same order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """`items`, of which at most `count` wait ready; what they raise is raised here, in its place.

    Closing this iterator ends the thread after the item that it is making.
    """
    made: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(count)
    stopped = threading.Event()

    def hand(item: T | None, error: BaseException | None, last: bool) -> bool:
        while not stopped.is_set():
            try:
                made.put((item, error, last), timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not hand(item, None, False):
                    return
        except BaseException as error:  # raised where the item is asked for
            hand(None, error, True)
        else:
            hand(None, None, True)

    threading.Thread(target=make, daemon=True).start()
    try:
        while True:
            item, error, last = made.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
