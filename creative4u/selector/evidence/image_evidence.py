"""Measure an image's evidence as degrees from 0 to 9.

What can be measured in pixels, what the saliency decoder says of the subject, and what a classifier
of real photographs recognises (ConSE). None of it depends on the other image or on the order.
The scales are our choice: they map what ordinary product pictures span onto 0..9.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from creative4u.backbone.names import embedded_adapter
from creative4u.backbone.ocr import read_lines
from creative4u.image_statistics import pixel_statistics
from creative4u.images import image_hash
from creative4u.selector.evidence.linear_probe import Probe, load_probe
from creative4u.selector.evidence.properties import TOP, Match

if TYPE_CHECKING:
    from creative4u.backbone.conse import ConSE

SALIENT = 0.4  # the map's values span 0.05 to 0.82 on real posters
RIM = 7  # pixels of the 224-pixel map that count as the picture's border
KEPT = 4096  # image vectors remembered
NAMES = 200  # class names that describe an image: told another product apart best (experiments)
Array = npt.NDArray[np.float32]
T = TypeVar("T")


@functools.cache
def evidence() -> EvidenceExtractor:
    """The process's one EvidenceExtractor, with the shipped probe."""
    return EvidenceExtractor(load_probe(embedded_adapter()))


def degree(value: float, low: float, high: float) -> float:
    """`value` on the line from `low` (0) to `high` (9), clipped at both ends."""
    return float(TOP * min(1.0, max(0.0, (value - low) / (high - low))))


def subject_facts(saliency_map: Array) -> dict[str, float]:
    """Area, centring and border contact of the subject in one (224, 224) map in 0..1."""
    subject = saliency_map > SALIENT
    if not subject.any():
        return {"area": 0.0, "centre": 0.0, "edge": 0.0}
    rows, columns = np.nonzero(subject)
    side = len(saliency_map)
    off = np.hypot(rows.mean() / side - 0.5, columns.mean() / side - 0.5)
    rim = np.ones_like(subject)
    rim[RIM:-RIM, RIM:-RIM] = False
    return {
        "area": degree(float(np.sqrt(subject.mean())), 0.0, 0.9),
        "centre": degree(-float(off), -0.35, 0.0),
        "edge": degree(float(subject[rim].mean()), 0.0, 0.5),
    }


def pixel_facts(image: Image) -> dict[str, float]:
    """Sharpness, light and contrast of one picture."""
    pixels = pixel_statistics(image)
    return {
        "sharp": degree(float(np.log10(pixels["sharpness"] + 1e-9)), 0.5, 4.0),
        "light": degree(pixels["brightness"], 0.0, 255.0),
        "contrast": degree(pixels["contrast"], 0.0, 100.0),
    }


class EvidenceExtractor:
    """The judge's Extractor on the embedded helpers; `probe` rates images where it is asked."""

    def __init__(self, probe: Probe | None = None) -> None:
        self.probe = probe
        self._vectors: OrderedDict[str, Array] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, "creative4u evidence")
        self._ahead: dict[tuple[str, ...], Future[Any]] = {}

    @functools.cached_property
    def bridge(self) -> ConSE:
        from creative4u.backbone.conse import ConSE

        return ConSE(NAMES)

    def read_ahead(self, images: Iterable[Image]) -> None:
        """Read `images` in a thread, in one batch; the next `read` of the same ones takes it over.

        Of all that looks this alone needs no torch, which may be imported meanwhile.
        """
        new = {image_hash(image): image for image in images}
        self._ahead["read", *new] = self._pool.submit(read_lines, list(new.values()))

    def look_ahead(self, images: Iterable[Image], texts: Sequence[str]) -> None:
        """The same for all else that is seen in `images`, and for the vectors of `texts`.

        To be called after `start.import_all`: imports in two threads can meet half-way.
        """
        new = {image_hash(image): image for image in images}
        pictures = list(new.values())
        self._ahead |= {
            ("classify", *new): self._pool.submit(self._classify, pictures),
            ("seen", *new): self._pool.submit(self._seen, pictures, True),
            ("words",): self._pool.submit(lambda: [self._words(text) for text in texts]),
        }

    def drop_ahead(self) -> None:
        """Leave out what was to be done ahead and has not begun yet."""
        for future in self._ahead.values():
            future.cancel()
        self._ahead = {}

    def _taken(self, name: str, images: Sequence[Image], look: Callable[[], T]) -> T:
        """What was found ahead, or what `look` finds now."""
        if not self._ahead:
            return look()
        found = self._ahead.pop((name, *map(image_hash, images)), None)
        if found is None:
            wait(list(self._ahead.values()))  # what it loads is not loaded twice
            self._ahead = {}
            return look()
        taken: T = found.result()
        return taken

    def seen(
        self, images: Sequence[Image], probe: bool
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        """What the probe sees, if asked, and what is measured, from one vision pass an image.

        Measured are sharpness, light and contrast of the picture, and area, centring and border
        contact of its subject.
        """
        if not probe:
            return self._seen(images, False)
        return self._taken("seen", images, lambda: self._seen(images, True))

    def _seen(
        self, images: Sequence[Image], probe: bool
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        from creative4u.backbone.saliency import look

        tokens, maps = look(images)
        none: list[dict[str, float]] = [{} for _ in images]
        probed = none
        if probe and self.probe is not None:  # a product an image: rows of one may round otherwise
            probed = [self.probe.degrees(one[None])[0] for one in tokens]
        return [
            (asked, {**pixel_facts(image), **subject_facts(subject)})
            for image, asked, subject in zip(images, probed, maps, strict=True)
        ]

    def classify(self, images: Sequence[Image]) -> list[tuple[str, float]]:
        """The likeliest class name of each image and its probability; keeps vectors for `match`."""
        return self._taken("classify", images, lambda: self._classify(images))

    def _classify(self, images: Sequence[Image]) -> list[tuple[str, float]]:
        from creative4u.backbone.classifier import class_names, class_probabilities

        probabilities = class_probabilities(images)
        for image, vector in zip(
            images, self.bridge.from_probabilities(probabilities), strict=True
        ):
            self._vectors[image_hash(image)] = vector
        while len(self._vectors) > max(KEPT, len(images)):
            self._vectors.popitem(last=False)
        return [(class_names()[row.argmax()], float(row.max())) for row in probabilities]

    def read(self, images: Sequence[Image]) -> list[tuple[str, ...]]:
        """The legible lines of text on each image."""
        return self._taken("read", images, lambda: read_lines(images))

    def match(self, image: Image, title: str, queries: tuple[str, ...]) -> Match:
        """How near the image is to the title, and to the nearest of the queries (cosine, ConSE)."""
        self._taken("words", (), list)
        key = image_hash(image)
        if key not in self._vectors:
            self.classify([image])
        vector = self._vectors[key]
        near = [degree(float(vector @ self._words(text)), -0.1, 0.6) for text in (title, *queries)]
        return Match(title=near[0], queries=max(near[1:], default=None))

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one instance a process
    def _words(self, text: str) -> Array:
        from creative4u.backbone.threads import running

        with running(1):
            vector: Array = self.bridge.text_vectors([text])[0]
        return vector
