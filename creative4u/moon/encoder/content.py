"""What is to be embedded: a text, an image, or both of one item or query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from creative4u.errors import InputError
from creative4u.images import load_image


@dataclass(frozen=True, eq=False)
class Looked:
    """An image that was looked at already: its row of `features.image_features` (2768,)."""

    row: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Content:
    """One item's or query's content; `image` is a file, an RGB image or its frozen features."""

    text: str | None = None
    image: Path | Image.Image | Looked | None = None

    def __post_init__(self) -> None:
        if not self.text and self.image is None:
            raise InputError("nothing to embed: give a text, an image or both")

    @property
    def only_text(self) -> Content:
        return Content(text=self.text)

    @property
    def only_image(self) -> Content:
        return Content(image=self.image)

    def picture(self) -> Image.Image:
        """The image, read if it is a file; raises ImageError, InputError if only features are."""
        if self.image is None or isinstance(self.image, Looked):
            raise InputError("there is no picture here, at most its features")
        return load_image(self.image) if isinstance(self.image, Path) else self.image
