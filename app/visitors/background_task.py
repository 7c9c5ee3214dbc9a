"""Run a call beside a stream of views and hand over its result once.

One worker for everybody: two looks at once would only slow each other and the judge.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

PATIENCE = 30.0  # seconds that the last view waits for what goes on beside it


class Asides:
    """The worker that all asides of a page share."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="aside")

    def start(self, call: Callable[[], str]) -> Aside:
        """Run `call`, which must not raise, beside whatever comes next."""
        return Aside(self._pool.submit(call))


class Aside:
    """One call under way."""

    def __init__(self, future: Future[str]) -> None:
        self._future = future
        self._told = False

    def news(self, patience: float = 0.0) -> str | None:
        """The answer when it is first there, within `patience` seconds; None before and after."""
        if self._told:
            return None
        try:
            said = self._future.result(timeout=patience)
        except TimeoutError:
            return None
        self._told = True
        return said

    def drop(self) -> None:
        """Nobody waits for it any more: not started, it never is."""
        self._future.cancel()
