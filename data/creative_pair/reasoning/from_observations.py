"""Replace known facts by the degrees that the probe and the text reader give.

A judge that is shown degrees can only reason from them. Where probe and truth differ, reasoning
from the truth teaches it to say what it cannot see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from creative4u.files.origin import file_hash, whole_file
from creative4u.images import load_image
from creative4u.selector.evidence.image_evidence import evidence
from creative4u.selector.evidence.properties import TOP
from creative4u.selector.loading import evidence_hash
from data.creative_pair.facts import DEGREES, Facts

AT_ONCE = 16
LINES = "lines"  # of text that could be read
SCENE = "scene"  # the interest that is met by a backdrop (data.world.market.intents)
KEPT = 40  # batches between two saves
# A level of 1 is within the probe's error of none at all.
FAINT = {"text", "cover", "clutter", "dark", "blur", "props", "frame"}


def as_observed(facts: Mapping[str, Facts], home: Path, cache: Path,
                progress: Callable[[str], None] = lambda line: None) -> dict[str, Facts]:
    """The facts with observed degrees; images are named from `home`, levels kept in `cache`.

    A killed run goes on from the cache. Levels are kept by the image's content, and only as long as
    the shipped probe is the same. Raises ImageError for an image that breaks the rules.
    """
    own = evidence_hash()
    levels = _kept(cache, own)
    marks = {name: file_hash(home / name) for name in facts}
    todo = {mark: name for name, mark in marks.items() if mark not in levels}
    missing = list(todo)
    for number, start in enumerate(range(0, len(missing), AT_ONCE), 1):
        names = missing[start : start + AT_ONCE]
        images = [load_image(home / todo[mark]) for mark in names]
        read = evidence().read(images)
        for name, (degrees, _), lines in zip(
                names, evidence().seen(images, probe=True), read, strict=True):
            rounded = {key: round(degree) for key, degree in degrees.items()}
            levels[name] = rounded | {LINES: len(lines)}
        if number % KEPT == 0 or start + AT_ONCE >= len(missing):
            with whole_file(cache) as file:
                json.dump({"probe": own, "levels": levels}, file)
            progress(f"observing: {len(levels)} images")
    return {name: observed(fact, levels[marks[name]]) for name, fact in facts.items()}


def _kept(cache: Path, own: str) -> dict[str, dict[str, int]]:
    """Levels by image hash that this very probe gave; none where the cache is another's."""
    try:
        found = json.loads(cache.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found["levels"]) if found.get("probe") == own else {}


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
