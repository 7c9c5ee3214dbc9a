"""Render MOON's similarities and the nearest catalogue items as HTML.

It answers beside the judge, not after it: one look at both images, no reasoning. The catalogue is a
folder that `creative4u moon index` wrote; without one the similarities stand alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app import render
from app.compare import check
from creative4u.backbone.wheels import home
from creative4u.errors import Creative4UError, ImageError
from creative4u.images import encode, load_image
from creative4u.moon.encoder.content import Content
from creative4u.moon.index.catalogue_index import CatalogueIndex, Neighbour, open_catalogue
from creative4u.schema import Side

log = logging.getLogger(__name__)
NEAREST = 4
Array = npt.NDArray[np.float32]


class Embedder(Protocol):
    """The part of MOON's encoder that the panel uses."""

    def encode(self, contents: Sequence[Content]) -> Array: ...


@dataclass(frozen=True)
class Likeness:
    """Cosines of each creative to the title and to the other, and its neighbours."""

    title: dict[Side, float]
    other: float
    near: dict[Side, list[Neighbour]]


@dataclass
class Moon:
    """An encoder, loaded when it is first asked for, and the catalogue it searches."""

    encoder: Embedder | None = None
    shelf: CatalogueIndex | None = None
    lock: Lock = field(default_factory=Lock)

    def look(self, image_a: Any, image_b: Any, title: str) -> Likeness:
        """Embed both RGB images and the title once."""
        with self.lock:
            if self.encoder is None:
                from creative4u.moon.encoder.encoder import load_encoder

                self.encoder = load_encoder()
            contents = [Content(image=image_a), Content(image=image_b), Content(title)]
            vectors = self.encoder.encode(contents)
        pair = vectors[:2]
        # a title has no visual part: it is compared with images in the shared dimensions
        shared = vectors[:, : getattr(self.encoder, "shared_dim", vectors.shape[1])]
        a, b, words = shared / np.maximum(np.linalg.norm(shared, axis=1, keepdims=True), 1e-12)
        near = self.shelf.nearest(pair, NEAREST) if self.shelf is not None else [[], []]
        return Likeness(
            {"A": float(a @ words), "B": float(b @ words)},
            float(pair[0] @ pair[1]),
            {"A": near[0], "B": near[1]},
        )

    def fill(self, upload_a: str | None, upload_b: str | None, title: str, queries: str) -> str:
        """What the panel shows for these uploads; nothing where the page refuses them anyway."""
        asked, _ = check(upload_a, upload_b, title, queries)
        if asked is None:
            return ""
        try:
            request = asked.request()
        except ImageError:
            return ""
        try:
            found = self.look(request.image_a, request.image_b, request.title)
        except Creative4UError as error:
            return render.problem(f"MOON could not look: {error}")
        except Exception:  # as in `compare`: the visitor gets a line, the log the rest
            log.exception("MOON could not look")
            return render.problem("MOON could not look. The reason is in the server's log.")
        return drawn(found, self.shelf is not None)


def load_moon() -> Moon:
    """MOON with the catalogue of CREATIVE4U_CATALOGUE or of the cache folder, if one is there."""
    folder = Path(os.environ.get("CREATIVE4U_CATALOGUE") or home() / "catalogue")
    try:
        return Moon(shelf=open_catalogue(folder) if folder.is_dir() else None)
    except Creative4UError as error:
        log.warning("no catalogue on the page: %s", error)
        return Moon()


def drawn(found: Likeness, catalogue: bool) -> str:
    """The panel as HTML."""
    sides: tuple[Side, ...] = ("A", "B")
    rows = [
        {"side": side, "title": found.title[side], "more": found.title[side] > found.title[other],
         "near": [_thumb(one) for one in found.near[side]]}
        for side, other in zip(sides, sides[::-1], strict=True)
    ]  # fmt: skip
    return render.likeness(rows, found.other, catalogue)


def _thumb(one: Neighbour) -> dict[str, Any]:
    uri = None
    if one.card.image is not None:
        try:
            uri = render.data_uri(encode(load_image(one.card.image), render.THUMB_SIDE),
                                  render.THUMB_SIDE)
        except (ImageError, OSError):
            log.info("the picture of %s is gone", one.card.item_id)
    return {"title": one.card.title, "score": one.score, "uri": uri}
