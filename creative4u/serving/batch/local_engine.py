"""Judge rows in this process in the same order, several batches at once where it pays.

Images are decoded in a thread of their own. A judge in this process takes a batch a core; one
behind servers takes several, so that no server waits for the slowest request of a batch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from creative4u.errors import CompletionError, Creative4UError, DeniedError, RefusedError
from creative4u.files.pairs_file import PairRow
from creative4u.schema import Verdict
from creative4u.selector.judge import PairRequest, Selects
from creative4u.serving.batch.pending_rows import Source, Told
from creative4u.serving.batch.prefetch import ahead
from creative4u.serving.files.verdict_row import outcome_fields, request_of

AHEAD = 16  # pairs whose images are decoded while the batch before them is judged
WAITING = 512  # rows held back at most, so that the order of rows never depends on timing
IN_FLIGHT = "creative4u batch"  # a thread's name
Loaded = tuple[Told, PairRequest | None]


@dataclass(frozen=True)
class InProcess:
    """A judge called from this process; each pair is judged in both orders at once."""

    judge: Selects
    batch_size: int = 8  # pairs
    in_flight: int = 1  # batches

    @property
    def model(self) -> str:
        return self.judge.model

    @property
    def dtype(self) -> str | None:
        """What the judge's products are computed in; None where a server knows."""
        arithmetic = getattr(self.judge, "arithmetic", None)
        return None if arithmetic is None else str(arithmetic.dtype)

    def judged(self, source: Source) -> Iterator[dict[str, Any]]:
        """The rows of `source`, judged, in its order."""
        loaded = ahead(decoded(source), min(AHEAD, self.batch_size * self.in_flight))
        if self.in_flight == 1:
            for batch in batches(loaded, self.batch_size):
                yield from judged_batch(self.judge, batch)
            return
        waiting: deque[Future[list[dict[str, Any]]]] = deque()
        try:
            for batch in batches(loaded, self.batch_size):
                waiting.append(self._started(batch))
                if len(waiting) == self.in_flight:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except (Exception, GeneratorExit):  # at Ctrl-C nobody waits for what is in flight
            wait(waiting)
            raise

    def _started(self, batch: Sequence[Loaded]) -> Future[list[dict[str, Any]]]:
        """A batch in a thread that no exit waits for: Ctrl-C leaves what is in flight."""
        future: Future[list[dict[str, Any]]] = Future()

        def work() -> None:
            try:
                future.set_result(judged_batch(self.judge, batch))
            except BaseException as error:  # raised where the rows are asked for
                future.set_exception(error)

        threading.Thread(target=work, name=IN_FLIGHT, daemon=True).start()
        return future


def left_in_flight() -> bool:
    """Whether threads of a run that was stopped still compute; an ordinary exit would abort."""
    return any(thread.name == IN_FLIGHT for thread in threading.enumerate())


def decoded(rows: Iterable[tuple[Told, PairRow | None]]) -> Iterator[Loaded]:
    """Each row with what to ask for it; a bad image is the row's own error."""
    for told, row in rows:
        try:
            request = None if row is None else request_of(row)
        except Creative4UError as error:
            yield told | outcome_fields(error), None
        else:
            yield told, request


def batches(rows: Iterator[Loaded], size: int) -> Iterator[list[Loaded]]:
    """Rows in their order; a batch is full with `size` requests, or WAITING rows."""
    batch: list[Loaded] = []
    asked = 0
    for row in rows:
        batch.append(row)
        asked += row[1] is not None
        if asked >= size or len(batch) >= WAITING:
            yield batch
            batch, asked = [], 0
    if batch:
        yield batch


def judged_batch(judge: Selects, batch: Sequence[Loaded]) -> list[dict[str, Any]]:
    """The rows of one batch with their outcomes."""
    outcomes = iter(_asked(judge, [request for _, request in batch if request is not None]))
    return [
        told if request is None else told | outcome_fields(next(outcomes))
        for told, request in batch
    ]


def _asked(
    judge: Selects, requests: Sequence[PairRequest]
) -> Sequence[Verdict | Creative4UError]:
    if not requests:
        return []
    try:
        return judge.select_many(requests)
    except DeniedError:  # it holds for all rows: the run ends
        raise
    except (CompletionError, RefusedError) as error:
        if len(requests) == 1:
            return [error]
        return [outcome for one in requests for outcome in _asked(judge, [one])]  # one is to blame
    except Creative4UError as error:  # the whole batch failed: each of its rows says so
        return [error] * len(requests)
