"""Render the CTR model's opinion of a comparison as HTML, with a warning where it disagrees.

It reads both creatives after the judge has spoken: each gets a calibrated pCTR with its interval,
debiased beside raw. Where the CTR model leans to the creative that the judge did not choose, the
panel says so in words.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from PIL import Image

from app import render
from app.history import Saved, Store
from creative4u.ctr.cold_start.scorer import Reading, load_scorer
from creative4u.errors import Creative4UError, InputError
from creative4u.images import load_image
from creative4u.schema import Side, Verdict

log = logging.getLogger(__name__)
CLOSE = 1.1  # pCTRs nearer than this ratio are no lean: about what the scorer can tell apart
SIDES: tuple[Side, ...] = ("A", "B")


class Reads(Protocol):
    """The part of the CTR scorer that the panel uses."""

    def read(
        self, images: Sequence[Image.Image], title: str, queries: Sequence[str] = ()
    ) -> list[Reading]: ...


@dataclass
class Ctr:
    """A scorer, loaded when it is first asked for."""

    scorer: Reads | None = None
    lock: Lock = field(default_factory=Lock)

    def look(self, saved: Saved) -> dict[Side, Reading]:
        """Both creatives' readings, from one look at them."""
        with self.lock:
            if self.scorer is None:
                self.scorer = load_scorer()
            images = [load_image(saved.pictures[side]) for side in SIDES]
            found = self.scorer.read(images, saved.title, saved.queries)
        return dict(zip(SIDES, found, strict=True))

    def fill(self, store: Store, comparison_id: str | None) -> str:
        """What the panel shows of a kept comparison; nothing where there is none. Never raises."""
        if not comparison_id:
            return ""
        try:
            saved = store.get(comparison_id)
        except InputError:  # deleted in the meantime
            return ""
        try:
            return drawn(self.look(saved), saved.verdict)
        except Creative4UError as error:
            return render.problem(f"The CTR model could not look: {error}")
        except Exception:  # as in `compare`: the visitor gets a line, the log the rest
            log.exception("the CTR model could not look")
            return render.problem("The CTR model could not look. The reason is in the log.")


def leaning(found: dict[Side, Reading]) -> Side | None:
    """The side with the higher pCTR; None where the two are close."""
    a, b = found["A"].pctr, found["B"].pctr
    if max(a, b) < CLOSE * min(a, b):
        return None
    return "A" if a > b else "B"


def warning(found: dict[Side, Reading], verdict: Verdict) -> str:
    """Where judge and CTR model disagree, in one plain sentence; else nothing."""
    lean = leaning(found)
    if lean is None or verdict.choice == lean:
        return ""
    other: Side = "B" if lean == "A" else "A"
    more = found[lean].pctr / found[other].pctr - 1
    expects = f"the CTR model expects {more:.0%} more clicks from {lean}"
    if verdict.choice == "tie":
        return f"They disagree: the judge sees no difference, {expects}."
    if verdict.choice == "inconclusive":
        return f"The judge could not decide; {expects}."
    return (f"They disagree: the judge chose {verdict.choice}, {expects}. "
            "Test both before you rely on either.")  # fmt: skip


def drawn(found: dict[Side, Reading], verdict: Verdict) -> str:
    """The panel as HTML; bars share one scale."""
    top = max(one.high for one in found.values())
    rows: list[dict[str, Any]] = []
    for side in SIDES:
        one = found[side]
        rows.append({
            "side": side, "pctr": one.pctr, "low": one.low, "high": one.high, "raw": one.raw,
            "from": 100 * one.low / top, "to": 100 * one.high / top, "at": 100 * one.pctr / top,
        })  # fmt: skip
    close = leaning(found) is None
    return render.clicks(rows, warning(found, verdict), close)
