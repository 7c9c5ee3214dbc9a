"""Describe what is embedded: a text, an image, or both, of one item or query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from creative4u.errors import InputError
from creative4u.images import load_image


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """An image by its row (2768,) of `feature_store.image_features`, computed earlier."""

    row: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Content:
    """One item or query. `image` is a file, an RGB image or its cached features."""

    text: str | None = None
    image: Path | Image.Image | CachedFeatures | None = None

    def __post_init__(self) -> None:
        if not self.text and self.image is None:
            raise InputError("nothing to embed: got neither text nor image; give one or both")

    @property
    def only_text(self) -> Content:
        return Content(text=self.text)

    @property
    def only_image(self) -> Content:
        return Content(image=self.image)

    def open_image(self) -> Image.Image:
        """The RGB image, loaded if it is a file. Raises ImageError, InputError without pixels."""
        if self.image is None or isinstance(self.image, CachedFeatures):
            raise InputError("this content has no pixels; give an image or its file")
        return load_image(self.image) if isinstance(self.image, Path) else self.image
