"""Describe one image in degrees from 0 to 9: the properties, and the record of what was found.

Each image is described by itself, independent of the other image and of the order.
"""

from __future__ import annotations

from dataclasses import dataclass

from creative4u.schema import ImageEvidence, Record


@dataclass(frozen=True)
class Property:
    """One property of an image; `low` and `high` say what 0 and TOP mean.

    `name` is its name in records and in JSON, `label` the one that people read. `word` stands for
    it in prompts and training files: the shipped adapter was trained on those words.
    """

    name: str
    word: str
    label: str
    low: str
    high: str


RATED = (  # by the linear probe, or by the model itself
    Property("size", "size", "product size", "a speck", "fills the picture"),
    Property("complete", "whole", "product in full", "mostly cut off", "wholly in the picture"),
    Property("text", "text", "area of text", "no text", "text over a third of the picture"),
    Property("occluded", "cover", "product covered", "nothing over the product",
             "product hidden by text or objects"),
    Property("clutter", "clutter", "clutter", "nothing distracts",
             "crowded with distracting things"),
    Property("dark", "dark", "darkness", "well lit", "very dark"),
    Property("blur", "blur", "blur", "sharp", "very blurred or coarse"),
    Property("props", "props", "props", "no props", "many props"),
    Property("frame", "frame", "border", "no border", "heavy border or picture in picture"),
    Property("contrast_with_background", "stand_out", "contrast with the background",
             "melts into the background", "stands out from the background"),
)  # fmt: skip
MEASURED = (  # in the pixels and in the saliency map
    Property("sharp", "sharp", "sharpness", "soft", "sharp"),
    Property("light", "light", "brightness", "black", "white"),
    Property("contrast", "contrast", "contrast", "none", "strong"),
    Property("area", "area", "area of the subject", "none", "most of the picture"),
    Property("centre", "centre", "subject in the centre", "far off", "in the centre"),
    Property("edge", "edge", "subject at the edge", "clear of the edges", "along the edges"),
)
MATCHED = (  # what is written on it, and how it fits the title and the queries
    Property("text_lines", "said", "lines of text", "none", "three or more"),
    Property("title", "title", "fits the title", "not at all", "very well"),
    Property("query", "query", "fits the searches", "not at all", "very well"),
    Property("query_words", "words", "words that answer the searches", "none", "all searches"),
)
PROPERTIES = (*RATED, *MEASURED, *MATCHED)
WORD = {prop.name: prop.word for prop in PROPERTIES}
NAME_OF_WORD = {prop.word: prop.name for prop in PROPERTIES}
NAMES = tuple(prop.word for prop in RATED)  # as prompts, ratings and training files name them
TOP = 9  # the highest level
LINE = 3.0  # degrees for each legible line of text, up to TOP


class Observation(Record):
    """One image's facts: `asked` of the model and `measured` in the pixels, degrees by word.

    `class_name` is what a classifier of real photographs takes it for (ConSE's best class name),
    `reads` the legible lines of text on it; None where nobody read.
    """

    asked: dict[str, float]
    measured: dict[str, float]
    class_name: str = ""
    class_probability: float | None = None
    reads: tuple[str, ...] | None = None


class Match(Record):
    """How near the image is to this request's words, degrees in 0..9.

    `title` and `queries` by what it looks like (ConSE), `words` by what is written on it
    (`query_match`).
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


def image_evidence(observation: Observation, match: Match | None = None) -> ImageEvidence:
    """The record of one image: what was observed, and how it matches this request's words."""
    degrees = {**observation.asked, **observation.measured}
    if observation.reads is not None:
        degrees["said"] = min(float(TOP), LINE * len(observation.reads))
    if match is not None:
        near = {"title": match.title, "query": match.queries, "words": match.words}
        degrees |= {word: degree for word, degree in near.items() if degree is not None}
    return ImageEvidence(
        degrees={NAME_OF_WORD[word]: degree for word, degree in degrees.items()},
        text_lines=observation.reads,
        class_name=observation.class_name,
        class_probability=observation.class_probability,
    )
