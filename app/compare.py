"""Compare two uploaded images, as a stream of views while the judge reasons (no gradio).

No gradio.

A view is all that the page needs to draw one moment: checked, waiting, looking, reasoning, done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Literal, Protocol

from PIL import Image

from app.history import Store
from app.visitors.visitor_queue import Turns
from creative4u.errors import Creative4UError, ImageError, InputError
from creative4u.images import check_image, encode, load_image
from creative4u.schema import ImageEvidence, Order, Side, Verdict
from creative4u.selector.judge import Observed, PairRequest, Reasoning
from creative4u.selector.protocol.prompt import clean_request

log = logging.getLogger(__name__)
READ_SIDE = 2048  # pixels: the longer side at which the judge is given an upload
KEPT_SIDE = 1600  # pixels: the longer side of the images that the history keeps

Phase = Literal["refused", "waiting", "looking", "reasoning", "done", "failed", "stopped"]
OVER = frozenset({"refused", "done", "failed", "stopped"})  # phases after which nothing comes
Field = Literal["A", "B", "words"]

# One upload at a time, since each may take much memory; and in one thread, since a thread's heap
# keeps some of what it has freed.
_decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")


class Judges(Protocol):
    """The part of `creative4u.selector.judge.Judge` that the page uses."""

    model: str

    def stream(self, request: PairRequest) -> Iterator[Observed | Reasoning | Verdict]:
        """Observations and growing reasoning, then the verdict."""
        ...

    def select_many(
            self, requests: Sequence[PairRequest]) -> Sequence[Verdict | Creative4UError]:
        """Judge several pairs; one that fails is its own error."""
        ...


@dataclass(frozen=True)
class Desk:
    """What one running page works with: a judge, the history, and the line of visitors."""

    judge: Judges
    store: Store
    turns: Turns = field(default_factory=Turns)
    pace: float = 0.1  # seconds: reasoning that grows faster than this is drawn in larger steps


@dataclass(frozen=True)
class Asked:
    """What a visitor asks, words and headers checked, no pixel decoded: small while it waits."""

    uploads: dict[Side, str]
    title: str
    queries: tuple[str, ...]

    def request(self) -> PairRequest:
        """Decode both uploads; raises ImageError."""
        image_a, image_b = (read(self.uploads[side]) for side in ("A", "B"))
        return PairRequest(image_a, image_b, self.title, self.queries)


@dataclass(frozen=True)
class View:
    """One moment of a comparison."""

    phase: Phase
    problems: dict[Field, str] = field(default_factory=dict)  # what to mend, by where it stands
    message: str = ""  # why it failed
    ahead: int = 0  # comparisons that are served before this one
    pictures: dict[Side, bytes] = field(default_factory=dict)  # JPEG
    observed: dict[Side, ImageEvidence] = field(default_factory=dict)
    reasoning: dict[Order, str] = field(default_factory=dict)
    verdict: Verdict | None = None
    comparison_id: str | None = None


def compare(desk: Desk, upload_a: str | None, upload_b: str | None, title: str,
            queries: str, stop: Event | None = None) -> Iterator[View]:
    """Run one comparison; `queries` holds one query a line. Never raises: a failure is a view.

    Once `stop` is set the next view is the last one, and says so.
    """
    asked, problems = check(upload_a, upload_b, title, queries)
    pictures: dict[Side, bytes] = {}
    for side, upload in (asked.uploads if asked else {}).items():
        try:
            pictures[side] = encode(read(upload, KEPT_SIDE), KEPT_SIDE)
        except ImageError as error:
            problems[side] = str(error)
    if asked is None or problems:
        yield View("refused", problems)
        return
    view = View("looking", pictures=pictures)
    try:
        for now in _judged(desk, asked, view, stop or Event()):
            view = now
            yield now
    except Creative4UError as error:
        yield replace(view, phase="failed", message=str(error))
    except Exception:  # the page's outermost edge: the visitor gets a line, the log the rest
        log.exception("a comparison failed")
        yield replace(view, phase="failed",
                      message="Something went wrong inside. It is in the server's log.")


def _judged(desk: Desk, asked: Asked, view: View, stop: Event) -> Iterator[View]:
    with desk.turns.take() as turn:
        for ahead in turn.places(stop):
            yield replace(view, phase="waiting", ahead=ahead)
        if stop.is_set():
            yield View("stopped")
            return
        yield view
        drawn = 0.0
        for said in desk.judge.stream(asked.request()):
            if stop.is_set():
                yield View("stopped")
                return
            if isinstance(said, Verdict):
                key = desk.store.save(asked.title, asked.queries, view.pictures, said)
                yield replace(view, phase="done", verdict=said, comparison_id=key)
                return
            growing = view.phase == "reasoning"
            view = _with(view, said)
            if growing and time.monotonic() - drawn < desk.pace:
                continue
            drawn = time.monotonic()
            yield view


def check(upload_a: str | None, upload_b: str | None, title: str,
          queries: str) -> tuple[Asked | None, dict[Field, str]]:
    """What the visitor gave, or what to mend; one of the two is empty. Decodes nothing."""
    problems: dict[Field, str] = {}
    uploads: dict[Side, str] = {}
    for side, upload in (("A", upload_a), ("B", upload_b)):
        try:
            uploads[side] = str(here(upload))
        except ImageError as error:
            problems[side] = str(error)
    asked = words(queries)
    try:
        clean_request(title, asked)
    except InputError as error:
        problems["words"] = sentence(str(error))
    if problems:
        return None, problems
    return Asked(uploads, " ".join(title.split()), asked), {}


def here(upload: str | None) -> Path:
    """An upload whose header is in order; the ImageError says what to do, without the path."""
    if not upload:
        raise ImageError("Add an image here: JPEG, PNG or WEBP.")
    path = Path(upload)
    if not path.is_file():
        raise ImageError(f"{path.name} is no longer on the server: add it again.")
    try:
        check_image(path, path.name, READ_SIDE)
    except ImageError as error:
        raise ImageError(f"{error}.") from error
    return path


def read(upload: str | None, side: int = READ_SIDE) -> Image.Image:
    """One upload as an image of at most `side` pixels; ImageError as in `here`."""
    path = here(upload)
    try:
        return _decoder.submit(load_image, path, path.name, side).result()
    except ImageError as error:
        raise ImageError(f"{error}.") from error


def words(queries: str) -> tuple[str, ...]:
    """The queries, one from each line that holds one."""
    return tuple(line.strip() for line in queries.splitlines() if line.strip())


def sentence(line: str) -> str:
    """An error's line as a sentence for the page."""
    return f"{line[:1].upper()}{line[1:].rstrip('.')}."


def _with(view: View, said: Observed | Reasoning) -> View:
    if isinstance(said, Observed):
        return replace(view, observed={**view.observed, said.side: said.evidence})
    return replace(view, phase="reasoning", reasoning={**view.reasoning, said.order: said.text})
