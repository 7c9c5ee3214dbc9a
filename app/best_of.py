"""Rank the uploaded images of one product by a tournament, as a stream of views (no gradio).

No gradio.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from PIL import Image

from app.compare import POLL, Desk, read, sentence, words
from creative4u.errors import Creative4UError, ImageError, InputError
from creative4u.images import encode
from creative4u.schema import Verdict
from creative4u.selector.judge import PairRequest
from creative4u.selector.protocol.prompt import clean_request
from creative4u.selector.tournament import check_size, rank_creatives

log = logging.getLogger(__name__)
SHOWN_SIDE = 900  # pixels


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
    images, problems = read_all(uploads or ())
    asked = words(queries)
    try:
        check_size(len(uploads or ()))
        clean_request(title, asked)
    except InputError as error:
        problems.append(sentence(str(error)))
    if problems:
        yield RankView("refused", tuple(problems))
        return
    try:
        with desk.turns.take() as turn:
            while not turn.wait(POLL):
                if stop.is_set():
                    yield RankView("stopped")
                    return
                yield RankView("waiting", ahead=turn.ahead)
            yield RankView("running")
            for said in _play(desk, images, " ".join(title.split()), asked, stop):
                if said is None:
                    yield RankView("stopped")
                elif isinstance(said, int):
                    yield RankView("running", compared=said)
                else:
                    pictures = {name: encode(image, SHOWN_SIDE) for name, image in images.items()}
                    yield RankView("done", ranking=said, pictures=pictures)
    except Creative4UError as error:
        yield RankView("failed", message=str(error))
    except Exception:  # the page's outermost edge: the visitor gets a line, the log the rest
        log.exception("a tournament failed")
        yield RankView("failed", message="Something went wrong inside. It is in the server's log.")


def read_all(uploads: Sequence[str]) -> tuple[dict[str, Image.Image], list[str]]:
    """Every upload by a name of its own, and a line for each that is no image."""
    images: dict[str, Image.Image] = {}
    problems: list[str] = []
    for upload in uploads:
        try:
            image = read(upload)
        except ImageError as error:
            problems.append(str(error))
            continue
        name, number = Path(upload).name, 2
        while name in images:
            name, number = f"{Path(upload).stem} ({number}){Path(upload).suffix}", number + 1
        images[name] = image
    return images, problems


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


def _play(desk: Desk, images: dict[str, Image.Image], title: str,
          asked: tuple[str, ...], stop: Event) -> Iterator[int | dict[str, Any] | None]:
    """Counts as pairs are compared, then the ranking; None once stopped.

    A batch that is being judged is judged to its end, but no other one begins.
    """
    tell: queue.Queue[int | dict[str, Any] | BaseException] = queue.Queue()
    left = Event()
    judge = _Counted(desk, desk.judge.model, tell, left, [])

    def work() -> None:
        try:
            tell.put(rank_creatives(judge, list(images.values()), list(images), title, asked))
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
