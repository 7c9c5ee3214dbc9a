"""Many visitors in, one at a time through: a fair queue that can say how many are ahead."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType

POLL = 0.5  # seconds between two looks at the line
BEAT = 2.0  # seconds after which an unchanged place is said again


class Turns:
    """First come, first served. `with turns.take() as turn:` then `turn.wait(seconds)`."""

    def __init__(self) -> None:
        self._line: deque[Turn] = deque()
        self._moved = threading.Condition()

    def take(self) -> Turn:
        """A place at the end of the line; it is given back when the `with` block ends."""
        return Turn(self._line, self._moved)


class Turn:
    """One visitor's place in the line."""

    def __init__(self, line: deque[Turn], moved: threading.Condition) -> None:
        self._line, self._moved = line, moved

    def __enter__(self) -> Turn:
        with self._moved:
            self._line.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        with self._moved:
            self._line.remove(self)
            self._moved.notify_all()

    @property
    def ahead(self) -> int:
        """How many are served before this one; 0 means it is this one's turn."""
        with self._moved:
            return self._line.index(self)

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; True once it is this one's turn."""
        with self._moved:
            return self._moved.wait_for(lambda: self._line[0] is self, seconds)

    def places(self, stop: threading.Event) -> Iterator[int]:
        """How many are ahead, until it is this one's turn or `stop` is set.

        An unchanged place comes again after a while: who shows it notices then whether anybody is
        still there to see it.
        """
        told, at = -1, 0.0
        while not self.wait(POLL) and not stop.is_set():
            ahead = self.ahead
            if ahead != told or time.monotonic() - at >= BEAT:
                told, at = ahead, time.monotonic()
                yield ahead
