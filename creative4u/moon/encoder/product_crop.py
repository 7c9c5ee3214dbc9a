"""Crop an image to its product by the saliency map: the second view of an item.

The papers use a product detector (2508.11999, section "product crop"). We take the box of the
saliency map, which leaves text and background out (our choice).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

LEVEL = 0.5  # of the map's own maximum
MARGIN = 0.06  # of the box's longer side, added on every side
LEAST = 32  # pixels a side; below that the whole image is the better view


def product_box(
    saliency: npt.NDArray[np.float32], level: float = LEVEL, margin: float = MARGIN
) -> tuple[float, float, float, float]:
    """The box (left, top, right, bottom) of a map (H, W), both in 0..1.

    It holds all points of at least `level` times the maximum. Rows and columns with under 2 % of
    such points are left out. A map without any gives the whole frame.
    """
    strong = saliency >= level * saliency.max()
    if saliency.max() <= 0:
        return 0.0, 0.0, 1.0, 1.0
    height, width = saliency.shape
    rows = np.flatnonzero(strong.mean(axis=1) >= 0.02)
    columns = np.flatnonzero(strong.mean(axis=0) >= 0.02)
    if not rows.size or not columns.size:
        return 0.0, 0.0, 1.0, 1.0
    left, right = columns[0] / width, (columns[-1] + 1) / width
    top, bottom = rows[0] / height, (rows[-1] + 1) / height
    extra = margin * max(right - left, bottom - top)
    return (
        float(max(0.0, left - extra)),
        float(max(0.0, top - extra)),
        float(min(1.0, right + extra)),
        float(min(1.0, bottom + extra)),
    )


def product_crop(image: Image.Image, saliency: npt.NDArray[np.float32]) -> Image.Image:
    """Crop `image` by its map (H, W); a crop under LEAST pixels a side returns the image."""
    left, top, right, bottom = product_box(saliency)
    box = (
        int(left * image.width),
        int(top * image.height),
        int(np.ceil(right * image.width)),
        int(np.ceil(bottom * image.height)),
    )
    if min(box[2] - box[0], box[3] - box[1]) < LEAST:
        return image
    return image.crop(box)
