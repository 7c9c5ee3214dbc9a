"""Known facts of images in, the same facts as the shipped probe and the text reader see them out.

A judge that is shown degrees can only reason from them. Where probe and truth differ, reasoning
from the truth teaches it to say what it cannot see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from creative4u.images import load_image
from creative4u.selector.evidence import evidence
from creative4u.selector.observations import TOP
from data.creative_pair.facts import DEGREES, Facts

AT_ONCE = 16
LINES = "lines"  # of text that could be read
SCENE = "scene"  # the interest that is met by a backdrop (data.world.intents)
KEPT = 40  # batches between two saves
# A level of 1 is within the probe's error of none at all.
FAINT = {"text", "cover", "clutter", "dark", "blur", "props", "frame"}


def as_observed(facts: Mapping[str, Facts], home: Path, cache: Path,
                progress: Callable[[str], None] = lambda line: None) -> dict[str, Facts]:
    """The facts with observed degrees; images are named from `home`, levels kept in `cache`.

    A killed run goes on from the cache. Raises ImageError for an image that breaks the rules.
    """
    levels: dict[str, dict[str, int]] = {}
    if cache.exists():
        levels = json.loads(cache.read_text("utf-8"))
    missing = [name for name in facts if name not in levels]
    for number, start in enumerate(range(0, len(missing), AT_ONCE), 1):
        names = missing[start : start + AT_ONCE]
        images = [load_image(home / name) for name in names]
        read = evidence().read(images)
        for name, (degrees, _), lines in zip(
                names, evidence().seen(images, probe=True), read, strict=True):
            rounded = {key: round(degree) for key, degree in degrees.items()}
            levels[name] = rounded | {LINES: len(lines)}
        if number % KEPT == 0 or start + AT_ONCE >= len(missing):
            part = cache.with_suffix(".part")
            part.write_text(json.dumps(levels), "utf-8")
            part.replace(cache)
            progress(f"observing: {len(levels)} images")
    return {name: observed(fact, levels[name]) for name, fact in facts.items()}


def observed(fact: Facts, levels: Mapping[str, int]) -> Facts:
    """One image's facts with observed degrees; words count only where some could be read.

    Where no text is seen, none is told of; where none is legible, none meets a query. A scene meets
    queries too, but nothing that a judge is shown tells it from other backgrounds.
    """
    degrees = {name: levels[name] for name in DEGREES}
    degrees |= {name: 0 for name in FAINT if degrees[name] <= 1}
    update: dict[str, object] = {name: level / TOP for name, level in degrees.items()}
    texts = fact.texts
    if not levels[LINES]:
        seen = texts if degrees["text"] else ()
        texts = tuple(text.model_copy(update={"legible": False}) for text in seen)
    update["texts"] = texts
    update["intents"] = tuple(
        intent for intent in fact.intents if levels[LINES] and intent != SCENE)
    return fact.model_copy(update=update)
