"""Define the properties of an image, their degrees and their text.

Asked of one image at a time, independent of the other image and of the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from creative4u.schema import Record


@dataclass(frozen=True)
class Property:
    """One property that the model is asked for; `low` and `high` say what 0 and 9 mean."""

    name: str
    low: str
    high: str


PROPERTIES = (
    Property("size", "a speck", "fills the picture"),
    Property("whole", "mostly cut off", "wholly in the picture"),
    Property("text", "no text", "text over a third of the picture"),
    Property("cover", "nothing over the product", "product hidden by text or objects"),
    Property("clutter", "nothing distracts", "crowded with distracting things"),
    Property("dark", "well lit", "very dark"),
    Property("blur", "sharp", "very blurred or coarse"),
    Property("props", "no props", "many props"),
    Property("frame", "no border", "heavy border or picture in picture"),
    Property("stand_out", "melts into the background", "stands out from the background"),
)
NAMES = tuple(prop.name for prop in PROPERTIES)
TOP = 9  # the highest level
LINE = 3.0  # degrees for each legible line of text, up to TOP


class Observation(Record):
    """One image's facts: `asked` of the model and `measured` in the pixels, degrees in 0..9.

    `looks_like` is what a classifier of real photographs takes it for (ConSE's best class name),
    `reads` the legible lines of text on it; None where nobody read.
    """

    asked: dict[str, float]
    measured: dict[str, float]
    looks_like: str = ""
    reads: tuple[str, ...] | None = None


class Match(Record):
    """How near the image is to this request's words, degrees in 0..9.

    `title` and `queries` by what it looks like (ConSE), `words` by what is
    written on it (`query_match`).
    """

    title: float | None = None
    queries: float | None = None
    words: float | None = None


def level(fact: float) -> int:
    """A fact in 0..1 as the level 0..9 that is written in training targets."""
    return round(TOP * min(1.0, max(0.0, fact)))


def target(facts: dict[str, float]) -> str:
    """The completion that the single-image stage teaches; unknown properties are left out."""
    return " ".join(f"{name} {level(facts[name])}" for name in NAMES if name in facts)


@dataclass(frozen=True)
class Shown:
    """What the prompt tells of one image: `degrees` in 0..9 by name, and what it looks like."""

    degrees: Mapping[str, float]
    looks_like: str = ""

    @property
    def text(self) -> str:
        """One line of facts for the comparison prompt, degrees as whole levels: one token each."""
        said = " ".join(f"{name} {round(degree)}" for name, degree in self.degrees.items())
        return f"{said} like {self.looks_like}" if self.looks_like else said


def shown(observation: Observation, match: Match | None = None) -> Shown:
    """An image's facts with how it matches this request's words."""
    degrees = {**observation.asked, **observation.measured}
    if observation.reads is not None:
        degrees["said"] = min(float(TOP), LINE * len(observation.reads))
    if match is not None:
        told = {"title": match.title, "query": match.queries, "words": match.words}
        degrees |= {name: degree for name, degree in told.items() if degree is not None}
    return Shown(degrees, observation.looks_like)
