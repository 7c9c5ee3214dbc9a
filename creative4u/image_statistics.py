"""Compute four plain statistics of an image, the baselines of a judge that sees nothing.

On a pair, the side with the larger number is such a statistic's choice; a selector that does not
beat the best of them has seen nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from creative4u.images import load_image

STATISTICS = ("contrast", "sharpness", "brightness", "file_size")
SIDE = 384  # pixels, the longer side at which sharpness is measured, so that size tells nothing


def pixel_statistics(image: Image.Image) -> dict[str, float]:
    """Grey-level contrast and brightness (0..255) and Laplacian sharpness of an RGB image.

    Sharpness is the variance of the 4-neighbour Laplacian of the grey image, its longer side at
    most 384 pixels; contrast is the grey levels' standard deviation, brightness their mean.
    """
    grey = image.convert("L")
    grey.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    g = np.asarray(grey, np.float64)  # (H, W)
    middle = g[1:-1, 1:-1]
    laplacian = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:] - 4 * middle
    return {
        "contrast": float(g.std()),
        "sharpness": float(laplacian.var()),
        "brightness": float(g.mean()),
    }


def image_statistics(source: Path | bytes) -> dict[str, float]:
    """`pixel_statistics` of a file, and its size in bytes; raises ImageError."""
    pixels = pixel_statistics(load_image(source))
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    return {**pixels, "file_size": float(size)}
