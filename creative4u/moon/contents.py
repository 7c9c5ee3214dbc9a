"""What is to be embedded: a text, an image, or both of one item or query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from creative4u.errors import InputError
from creative4u.images import load_image


@dataclass(frozen=True)
class Content:
    """One item's or query's content; `image` is a file or an RGB image."""

    text: str | None = None
    image: Path | Image.Image | None = None

    def __post_init__(self) -> None:
        if not self.text and self.image is None:
            raise InputError("nothing to embed: give a text, an image or both")

    @property
    def modality(self) -> int:
        """The place in `experts.MODALITIES`: 0 text, 1 image, 2 both."""
        if self.image is None:
            return 0
        return 2 if self.text else 1

    @property
    def only_text(self) -> Content:
        return Content(text=self.text)

    @property
    def only_image(self) -> Content:
        return Content(image=self.image)

    def picture(self) -> Image.Image:
        """The image, read if it is a file; raises ImageError."""
        assert self.image is not None
        return load_image(self.image) if isinstance(self.image, Path) else self.image
