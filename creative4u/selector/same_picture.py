"""Tell whether two images are one picture: the same pixels, or a re-saved or resized copy.

A copy has the same shape, nearly the same perceptual hash, nearly the same average colour in every
part of the picture, and as much fine detail at the smaller one's size. What saving as JPEG and
resizing change lies all over the picture; a sticker or another price changes one part much more
than the others, a crop moves the parts, a blur takes the detail away. Thresholds were chosen on
product photographs; `python -m data.images.copies FOLDER` tells how often they err.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL.Image import Image, Resampling

from creative4u.image_statistics import SIDE, pixel_statistics
from creative4u.images import image_hash

Floats = npt.NDArray[np.float64]
Likeness = Literal["same", "copy"]  # the same pixels; the same picture, saved again or resized
PIXELS = 1.5  # that the sides of a copy may be off, by rounding
HASH_BITS = 6  # of 64 that may differ
COLOUR = 24  # of 255 that a part's red, green or blue may be off; JPEG is coarse in colour
LIGHT = 2.0  # of 255 that the parts' light may be off on average
ONE_PART, NINE_IN_TEN = 8.0, 5.0  # one part's pixels: 8 + 5 times what nine in ten parts keep to
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
DETAIL = 0.33  # the least share of the other's sharpness


def likeness(a: Image, b: Image) -> Likeness | None:
    """What two RGB images have in common, None where they are two pictures."""
    if image_hash(a) == image_hash(b):
        return "same"
    return "copy" if _is_copy(a, b) else None


def _is_copy(a: Image, b: Image) -> bool:
    small, large = sorted((a, b), key=lambda image: image.width * image.height)
    scale = large.width / small.width
    if abs(large.height - scale * small.height) > PIXELS * max(1.0, scale):
        return False
    if _hash_distance(small, large) > HASH_BITS:
        return False
    most = min(1.0, SIDE / max(small.size))
    size = max(1, round(small.width * most)), max(1, round(small.height * most))
    one, other = (
        image if image.size == size else image.resize(size, Resampling.LANCZOS)
        for image in (small, large)
    )
    if not _same_parts(one, other):
        return False
    less, more = sorted(pixel_statistics(image)["sharpness"] for image in (one, other))
    return less >= DETAIL * more


def _hash_distance(a: Image, b: Image) -> int:
    """Bits in which the perceptual hashes differ, of 64."""
    import imagehash

    return int(imagehash.phash(a) - imagehash.phash(b))


def _same_parts(a: Image, b: Image) -> bool:
    """Whether two images of one size have the same colours, and differ in no one part alone."""
    of_a, of_b = (np.asarray(image, np.float64) for image in (a, b))  # (H, W, 3)
    colours = np.abs(_parts(of_a, 16) - _parts(of_b, 16))  # (16, 16, 3)
    light = np.abs(_parts((of_a - of_b) @ LUMA, 16))
    pixels = _parts(np.abs((of_a - of_b) @ LUMA), 32)
    return bool(
        colours.max() <= COLOUR
        and light.mean() <= LIGHT
        and pixels.max() <= ONE_PART + NINE_IN_TEN * np.quantile(pixels, 0.9)
    )


def _parts(pixels: Floats, count: int) -> Floats:
    """(H, W) or (H, W, 3) pixels to their means in (count, count) parts, a pixel at least each."""
    for axis in (0, 1):
        length = pixels.shape[axis]
        ends = np.linspace(0, length, min(count, length) + 1).round().astype(int)
        sizes = np.diff(ends).reshape([-1 if a == axis else 1 for a in range(pixels.ndim)])
        pixels = np.add.reduceat(pixels, ends[:-1], axis) / sizes
    return pixels
