"""Two uploaded files, a title and queries in; views of the comparison as it goes on out. No gradio.

A view is all that the page needs to draw one moment: checked, waiting, looking, reasoning, done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Literal, Protocol

from PIL import Image

from app.store import Store
from app.turns import Turns
from creative4u.errors import Creative4UError, ImageError, InputError
from creative4u.images import encode, load_image
from creative4u.schema import ImageEvidence, Order, Side, Verdict
from creative4u.selector.judge import Observed, PairRequest, Reasoning
from creative4u.selector.prompt import clean_request

log = logging.getLogger(__name__)
KEPT_SIDE = 1600  # pixels: the longer side of the images that the history keeps
POLL = 0.5  # seconds between two looks at the queue

Phase = Literal["refused", "waiting", "looking", "reasoning", "done", "failed", "stopped"]
OVER = frozenset({"refused", "done", "failed", "stopped"})  # phases after which nothing comes
Field = Literal["A", "B", "words"]


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
    request, problems = check(upload_a, upload_b, title, queries)
    if request is None:
        yield View("refused", problems)
        return
    pictures: dict[Side, bytes] = {"A": encode(request.image_a, KEPT_SIDE),
                                   "B": encode(request.image_b, KEPT_SIDE)}
    view = View("looking", pictures=pictures)
    try:
        for now in _judged(desk, request, view, stop or Event()):
            view = now
            yield now
    except Creative4UError as error:
        yield replace(view, phase="failed", message=str(error))
    except Exception:  # the page's outermost edge: the visitor gets a line, the log the rest
        log.exception("a comparison failed")
        yield replace(view, phase="failed",
                      message="Something went wrong inside. It is in the server's log.")


def _judged(desk: Desk, request: PairRequest, view: View, stop: Event) -> Iterator[View]:
    with desk.turns.take() as turn:
        while not turn.wait(POLL):
            if stop.is_set():
                yield View("stopped")
                return
            yield replace(view, phase="waiting", ahead=turn.ahead)
        yield view
        drawn = 0.0
        for said in desk.judge.stream(request):
            if stop.is_set():
                yield View("stopped")
                return
            if isinstance(said, Verdict):
                key = desk.store.save(request.title, request.queries, view.pictures, said)
                yield replace(view, phase="done", verdict=said, comparison_id=key)
                return
            growing = view.phase == "reasoning"
            view = _with(view, said)
            if growing and time.monotonic() - drawn < desk.pace:
                continue
            drawn = time.monotonic()
            yield view


def check(upload_a: str | None, upload_b: str | None, title: str,
          queries: str) -> tuple[PairRequest | None, dict[Field, str]]:
    """What the visitor gave, as a request, or what to mend; one of the two is empty."""
    problems: dict[Field, str] = {}
    images: list[Image.Image] = []
    uploads: tuple[tuple[Side, str | None], ...] = (("A", upload_a), ("B", upload_b))
    for side, upload in uploads:
        try:
            images.append(read(upload))
        except ImageError as error:
            problems[side] = str(error)
    asked = words(queries)
    try:
        clean_request(title, asked)
    except InputError as error:
        problems["words"] = sentence(str(error))
    if problems:
        return None, problems
    return PairRequest(images[0], images[1], " ".join(title.split()), asked), {}


def read(upload: str | None) -> Image.Image:
    """One uploaded file as an image; the ImageError says what to do, without the server's path."""
    if not upload:
        raise ImageError("Add an image here: JPEG, PNG or WEBP.")
    path = Path(upload)
    try:
        return load_image(path, name=path.name)
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
