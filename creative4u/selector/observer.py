"""Observe images: measure, read, recognise and rate each once, remembered by its pixels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from PIL.Image import Image

from creative4u.images import image_hash
from creative4u.schema import ImageEvidence, PairEvidence
from creative4u.selector.config import JudgeConfig
from creative4u.selector.evidence.properties import TOP, Match, Observation, image_evidence
from creative4u.selector.evidence.query_match import met
from creative4u.selector.evidence.weighing import weigh_pair
from creative4u.selector.protocol.backend import Backend

KEPT = 4096  # observations, an image each


class Extractor(Protocol):
    """What measures and recognises beside the model: `evidence.image_evidence`."""

    def seen(
        self, images: Sequence[Image], probe: bool
    ) -> list[tuple[dict[str, float], dict[str, float]]]: ...

    def classify(self, images: Sequence[Image]) -> list[tuple[str, float]]: ...

    def read(self, images: Sequence[Image]) -> list[tuple[str, ...]]: ...

    def match(self, image: Image, title: str, queries: tuple[str, ...]) -> Match: ...


class Observer:
    """The evidence on pairs, as the config wants it; callers hold a lock around it."""

    def __init__(self, backend: Backend, config: JudgeConfig, extractor: Extractor) -> None:
        self.backend = backend
        self.config = config
        self.extractor = extractor
        self._known: OrderedDict[str, Observation] = OrderedDict()

    def observe(self, images: Sequence[Image]) -> None:
        """Remember what each new image shows, all new ones in one batch."""
        if not self.config.facts:
            return
        keyed = ((image_hash(image), image) for image in images)
        new = {key: image for key, image in keyed if key not in self._known}
        if not new:
            return
        pictures = list(new.values())
        none: list[dict[str, float]] = [{} for _ in pictures]
        probed = self.config.observe == "probe"
        rated = self.backend.observe(pictures) if self.config.observe == "model" else none
        measured = list(zip(none, none, strict=True))
        if probed or self.config.use_pixels:
            measured = self.extractor.seen(pictures, probed)
        classes: Sequence[tuple[str, float | None]] = [("", None)] * len(pictures)
        if self.config.use_title_match:
            classes = self.extractor.classify(pictures)
        lines: Sequence[tuple[str, ...] | None] = [None] * len(pictures)
        if self.config.use_ocr:
            lines = self.extractor.read(pictures)
        for key, by_model, (by_probe, in_pixels), (name, likely), read in zip(
            new, rated, measured, classes, lines, strict=True
        ):
            self._known[key] = Observation(
                asked=by_probe if probed else by_model,
                measured=in_pixels if self.config.use_pixels else {},
                class_name=name,
                class_probability=likely,
                reads=read,
            )
        while len(self._known) > max(KEPT, len(images)):
            self._known.popitem(last=False)

    def pair(
        self, image_a: Image, image_b: Image, title: str, queries: tuple[str, ...]
    ) -> PairEvidence | None:
        """The evidence on two observed images; None in the paper's single pass."""
        if not self.config.facts:
            return None
        a, b = (self._of(image, title, queries) for image in (image_a, image_b))
        return weigh_pair(a, b, self.config.evidence_curves)

    def _of(self, image: Image, title: str, queries: tuple[str, ...]) -> ImageEvidence:
        seen = self._known[image_hash(image)]
        match = Match()
        if self.config.use_title_match:
            match = self.extractor.match(image, title, queries)
        if seen.reads is not None and queries:
            match = match.model_copy(update={"words": TOP * met(queries, seen.reads)})
        return image_evidence(seen, match)
