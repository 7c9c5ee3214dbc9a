"""Rank the uploaded images of one product by a tournament, as a stream of views (no gradio).

No gradio.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Event, Thread
from typing import Any, Literal

from PIL import Image

from app.compare import Desk, here, read, sentence, words
from creative4u.errors import Creative4UError, ImageError, InputError
from creative4u.images import encode
from creative4u.schema import Verdict
from creative4u.selector.judge import PairRequest
from creative4u.selector.protocol.prompt import clean_request
from creative4u.selector.tournament import BATCH, MOST, check_size, rank_creatives

log = logging.getLogger(__name__)
SHOWN_SIDE = 900  # pixels
POLL = 0.5  # seconds between two looks at whether the visitor has had enough


@dataclass(frozen=True)
class RankView:
    """One moment of a tournament; `ranking` is what `rank_creatives` returns."""

    phase: Literal["refused", "waiting", "running", "done", "failed", "stopped"]
    problems: tuple[str, ...] = ()
    message: str = ""
    ahead: int = 0
    compared: int = 0  # pairs so far
    ranking: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)  # name -> JPEG


def best_of(desk: Desk, uploads: Sequence[str] | None, title: str, queries: str,
            stop: Event | None = None) -> Iterator[RankView]:
    """Rank the uploads; never raises: a failure is a view.

    Once `stop` is set the next view is the last one, and says so.
    """
    stop = stop or Event()
    named, problems = check(uploads or ())
    asked = words(queries)
    try:
        check_size(len(uploads or ()))
        clean_request(title, asked)
    except InputError as error:
        problems.append(sentence(str(error)))
    pictures: dict[str, bytes] = {}
    if not problems:
        pictures, problems = shrunk(named, SHOWN_SIDE)
    if problems:
        yield RankView("refused", tuple(problems))
        return
    try:
        with desk.turns.take() as turn:
            for ahead in turn.places(stop):
                yield RankView("waiting", ahead=ahead)
            if stop.is_set():
                yield RankView("stopped")
                return
            yield RankView("running")
            for said in _play(desk, named, " ".join(title.split()), asked, stop):
                if said is None:
                    yield RankView("stopped")
                elif isinstance(said, int):
                    yield RankView("running", compared=said)
                else:
                    yield RankView("done", ranking=said, pictures=pictures)
    except Creative4UError as error:
        yield RankView("failed", message=str(error))
    except Exception:  # the page's outermost edge: the visitor gets a line, the log the rest
        log.exception("a tournament failed")
        yield RankView("failed", message="Something went wrong inside. It is in the server's log.")


def check(uploads: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Every upload by a name of its own, and a line for each that is no image.

    Decodes nothing; of too many uploads not even the headers are read.
    """
    named: dict[str, str] = {}
    problems: list[str] = []
    for upload in uploads if len(uploads) <= MOST else ():
        try:
            path = here(upload)
        except ImageError as error:
            problems.append(str(error))
            continue
        name, number = path.name, 2
        while name in named:
            name, number = f"{path.stem} ({number}){path.suffix}", number + 1
        named[name] = upload
    return named, problems


def shrunk(named: dict[str, str], side: int) -> tuple[dict[str, bytes], list[str]]:
    """Each upload as a JPEG of at most `side` pixels, and a line for each that is damaged."""
    pictures: dict[str, bytes] = {}
    problems: list[str] = []
    for name, upload in named.items():
        try:
            pictures[name] = encode(read(upload, side), side)
        except ImageError as error:
            problems.append(str(error))
    return pictures, problems


class _Decoded(Sequence[Image.Image]):
    """Uploads, decoded when they are asked for; as many are kept as a batch of pairs has."""

    def __init__(self, uploads: Sequence[str]) -> None:
        self._uploads = uploads
        self._read = lru_cache(2 * BATCH)(read)

    def __len__(self) -> int:
        return len(self._uploads)

    def __getitem__(self, number: int) -> Image.Image:  # type: ignore[override]
        return self._read(self._uploads[number])


@dataclass
class _Counted:
    """A judge that tells how many pairs it has compared."""

    desk: Desk
    model: str
    tell: queue.Queue[int | dict[str, Any] | BaseException]
    left: Event
    done: list[int]

    def select_many(
            self, requests: Sequence[PairRequest]) -> Sequence[Verdict | Creative4UError]:
        if self.left.is_set():
            raise Creative4UError("the visitor left")
        outcomes = self.desk.judge.select_many(requests)
        self.done.append(len(requests))
        self.tell.put(sum(self.done))
        return outcomes


def _play(desk: Desk, named: dict[str, str], title: str,
          asked: tuple[str, ...], stop: Event) -> Iterator[int | dict[str, Any] | None]:
    """Counts as pairs are compared, then the ranking; None once stopped.

    A batch that is being judged is judged to its end, but no other one begins.
    """
    tell: queue.Queue[int | dict[str, Any] | BaseException] = queue.Queue()
    left = Event()
    judge = _Counted(desk, desk.judge.model, tell, left, [])

    def work() -> None:
        try:
            images = _Decoded(list(named.values()))
            tell.put(rank_creatives(judge, images, list(named), title, asked))
        except BaseException as error:  # handed to the reader, who raises it
            tell.put(error)

    Thread(target=work, daemon=True).start()
    try:
        while not stop.is_set():
            try:
                said = tell.get(timeout=POLL)
            except queue.Empty:
                continue
            if isinstance(said, BaseException):
                raise said
            yield said
            if isinstance(said, dict):
                return
        yield None
    finally:
        left.set()
