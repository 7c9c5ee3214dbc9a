"""What one image shows, in degrees from 0 to 9: the properties, their text and the record.

DESIGN section 2: asked of one image at a time, independent of the other image and of the order.
"""

from __future__ import annotations

import re
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


class Observation(Record):
    """One image's facts: `asked` of the model and `measured` in the pixels, degrees in 0..9.

    `looks_like` is what a classifier of real photographs takes it for (ConSE's best class name).
    """

    asked: dict[str, float]
    measured: dict[str, float]
    looks_like: str = ""


class Match(Record):
    """How near the image is to this request's words, degrees in 0..9 (ConSE, DESIGN section 3)."""

    title: float
    queries: float | None = None


def level(fact: float) -> int:
    """A fact in 0..1 as the level 0..9 that is written in training targets."""
    return round(TOP * min(1.0, max(0.0, fact)))


def target(facts: dict[str, float]) -> str:
    """The completion that the single-image stage teaches; unknown properties are left out."""
    return " ".join(f"{name} {level(facts[name])}" for name in NAMES if name in facts)


def describe(observation: Observation, match: Match | None = None) -> str:
    """One line of facts for the comparison prompt, degrees as whole levels: one token each."""
    facts = {**observation.asked, **observation.measured}
    said = " ".join(f"{name} {round(degree)}" for name, degree in facts.items())
    if match is not None:
        said += f" title {round(match.title)}"
        if match.queries is not None:
            said += f" query {round(match.queries)}"
    return f"{said} like {observation.looks_like}" if observation.looks_like else said


def differences(seen_a: str, seen_b: str) -> str:
    """What tells two described images apart, the widest gap first: `blur B+6 size A+2`.

    A small model compares poorly over a distance; what it has to weigh stands here side by side
    (our choice). "nothing" where no level differs.
    """
    of_a, of_b = (dict(re.findall(r"([a-z_]+) (\d)", seen)) for seen in (seen_a, seen_b))
    gaps = {name: int(level) - int(of_b[name]) for name, level in of_a.items() if name in of_b}
    ranked = sorted((name for name in gaps if gaps[name]), key=lambda name: -abs(gaps[name]))
    said = (f"{name} {'A' if gaps[name] > 0 else 'B'}+{abs(gaps[name])}" for name in ranked)
    return " ".join(said) or "nothing"


# Which degrees are told of in which line of the reasoning (our choice).
BEARING = {
    "query_hit": ("query",),
    "title_hit": ("title",),
    "text": ("text",),
    "props": ("props",),
    "layout": ("frame",),
    "subject": ("size", "whole", "cover", "dark", "blur"),
    "background": ("stand_out", "clutter"),
}
CITED = 2  # differences cited in a line at most


def cite(key: str, apart: str) -> str:
    """What `differences` lists that bears on a question, in its order: `blur A+6 size B+2`."""
    listed = re.findall(r"([a-z_]+) ([AB]\+\d)", apart)
    bearing = [f"{name} {lead}" for name, lead in listed if name in BEARING.get(key, ())]
    return " ".join(bearing[:CITED])
