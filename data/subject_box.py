"""An image in, the box of what differs from its background out; from the pixels alone."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

GRID = 96  # cells a side


def subject_box(image: Image.Image) -> tuple[int, int, int, int]:
    """left, top, right, bottom in pixels of the middle 94 % of the difference to the background.

    The background of a cell is mixed from the picture's four edges by nearness, which follows
    the gradients of studio light; what is left is squared, so that faint shadows count little.
    A picture without any difference gives its middle half.
    """
    small = image.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX)
    pixels = np.asarray(small.filter(ImageFilter.GaussianBlur(1)), np.float64)  # (G, G, 3)
    edges = (pixels[:, :3], pixels[:, -3:], pixels[:3], pixels[-3:])
    colours = np.stack([np.median(edge.reshape(-1, 3), axis=0) for edge in edges])  # (4, 3)
    t = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(t, t)
    near = 1 / np.stack([x, 1 - x, y, 1 - y], axis=-1)  # (G, G, 4)
    ground = (near / near.sum(axis=-1, keepdims=True)) @ colours
    weight = ((pixels - ground) ** 2).sum(axis=-1)
    weight[weight < 0.08 * weight.max()] = 0
    if weight.max() < 60:  # grey levels squared: nothing is there
        return (image.width // 4, image.height // 4, image.width * 3 // 4, image.height * 3 // 4)
    left, right = _middle(weight.sum(axis=0))
    top, bottom = _middle(weight.sum(axis=1))
    return (
        round(left * image.width),
        round(top * image.height),
        round(right * image.width),
        round(bottom * image.height),
    )


def _middle(weight: np.ndarray) -> tuple[float, float]:
    """Where the middle 94 % of the weight lies, in 0..1."""
    share = weight.cumsum() / weight.sum()
    first = int(np.searchsorted(share, 0.03))
    last = int(np.searchsorted(share, 0.97)) + 1
    return first / GRID, min(last, GRID) / GRID
