"""Place a product's cut-out into a picture: pixels, mask and shadow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from data.world.drawing.creative_spec import Subject
from data.world.drawing.photographs import open_photograph


def tone(cutout: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The render's candy colours muted and its soft light hardened, as a camera's would be."""
    rgb = ImageEnhance.Color(cutout.convert("RGB")).enhance(rng.uniform(0.5, 1.1))
    rgb = ImageEnhance.Contrast(rgb).enhance(rng.uniform(0.9, 1.5))
    rgb.putalpha(cutout.getchannel("A"))
    return rgb


def surface(
    cutout: Image.Image, grain: float, photographs: Sequence[Path], rng: np.random.Generator
) -> Image.Image:
    """Fine detail laid over a smooth render, from a photograph's high frequencies or noise."""
    if grain < 0.05:
        return cutout
    width, height = cutout.size
    if photographs and rng.random() < 0.6:
        photo = open_photograph(photographs[int(rng.integers(len(photographs)))])
        left = int(rng.integers(max(photo.width - width, 0) + 1))
        top = int(rng.integers(max(photo.height - height, 0) + 1))
        grey = photo.crop((left, top, left + width, top + height)).convert("L")
        soft = grey.filter(ImageFilter.BoxBlur(6))
        detail = np.asarray(grey, np.float32) - np.asarray(soft, np.float32)
    else:
        detail = rng.normal(0, 22, (height, width)).astype(np.float32)
    gain = 1 + grain * np.clip(detail, -60, 60)[..., None] / 60
    rgb = np.asarray(cutout.convert("RGB"), np.float32) * gain
    out = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8), "RGB")
    out.putalpha(cutout.getchannel("A"))
    return out


def fit(cutout: Image.Image, length: float, angle: float, flip: bool) -> Image.Image:
    """Scaled so that its longer side is `length` pixels, mirrored, turned by `angle` degrees."""
    if flip:
        cutout = cutout.transpose(Image.FLIP_LEFT_RIGHT)
    if angle:
        cutout = cutout.rotate(angle, Image.BICUBIC, expand=True)
        box = cutout.getchannel("A").getbbox()
        cutout = cutout.crop(box) if box else cutout
    scale = length / max(cutout.size)
    size = (max(4, round(cutout.width * scale)), max(4, round(cutout.height * scale)))
    out = cutout.resize(size, Image.BICUBIC)
    if scale > 1.15:  # the render is only 256 pixels wide: give its edges back
        alpha = out.getchannel("A")
        out = out.convert("RGB").filter(ImageFilter.UnsharpMask(1.6, 90, 1))
        out.putalpha(alpha)
    return out


def stand(
    cutout: Image.Image, subject: Subject, size: tuple[int, int]
) -> tuple[Image.Image, float]:
    """The RGBA layer of `size` with the product on it, and its share inside the frame.

    A subject that is to be whole is moved inside the frame; one to be cut leaves over its edge
    by just so much of its own area.
    """
    width, height = size
    side = min(size)
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    if subject.quantity > 1:
        return _row(layer, cutout, subject), 1.0
    thing = fit(cutout, subject.extent * side, subject.angle, subject.flip)
    x = subject.x * width - thing.width / 2
    y = subject.y * height - thing.height / 2
    if subject.whole >= 1:
        margin = 2
        x = min(max(x, margin), max(width - margin - thing.width, margin))
        y = min(max(y, margin), max(height - margin - thing.height, margin))
    else:
        x, y = _over_edge(thing, subject, size, x, y)
    at = (round(x), round(y))
    alpha = np.asarray(thing.getchannel("A"), np.float32)
    inside = alpha[max(0, -at[1]) : height - at[1], max(0, -at[0]) : width - at[0]]
    layer.paste(thing, at, thing)
    return layer, float(inside.sum() / max(alpha.sum(), 1))


def _over_edge(
    thing: Image.Image, subject: Subject, size: tuple[int, int], x: float, y: float
) -> tuple[float, float]:
    alpha = np.asarray(thing.getchannel("A"), np.float32)
    across = subject.cut_edge < 2  # over the left or right edge
    share = alpha.sum(axis=0 if across else 1).cumsum() / max(alpha.sum(), 1)
    lost = int(np.searchsorted(share, 1 - subject.whole))  # pixels from the near side
    kept = int(np.searchsorted(share, subject.whole))
    match subject.cut_edge:
        case 0:
            x = -lost
        case 1:
            x = size[0] - kept
        case 2:
            y = -lost
        case _:
            y = size[1] - kept
    if across:
        y = min(max(y, 2), max(size[1] - thing.height - 2, 2))
    else:
        x = min(max(x, 2), max(size[0] - thing.width - 2, 2))
    return x, y


def _row(layer: Image.Image, cutout: Image.Image, subject: Subject) -> Image.Image:
    """Several of the same, side by side, a little overlapped, all inside the frame."""
    width, height = layer.size
    count = subject.quantity
    length = subject.extent * min(layer.size) * (0.72 if count == 2 else 0.55)
    thing = fit(cutout, length, subject.angle, subject.flip)
    step = min(thing.width * 0.82, (width - thing.width - 4) / max(count - 1, 1))
    left = subject.x * width - (step * (count - 1) + thing.width) / 2
    left = min(max(left, 2), max(width - 2 - step * (count - 1) - thing.width, 2))
    top = min(max(subject.y * height - thing.height / 2, 2), max(height - thing.height - 2, 2))
    for i in range(count):
        lift = thing.height * 0.06 * (i % 2)
        layer.paste(thing, (round(left + i * step), round(max(top - lift, 0))), thing)
    return layer


def shade(
    picture: Image.Image, layer: Image.Image, strength: float, floor: bool, rng: np.random.Generator
) -> Image.Image:
    """The picture with the layer's shadow: a pool under it on a floor, else dropped behind it."""
    small = (picture.width // 4, picture.height // 4)
    alpha = layer.getchannel("A").resize(small, Image.BILINEAR)
    box = alpha.getbbox()
    if box is None or strength <= 0:
        return picture
    if floor:
        pool = Image.new("L", small, 0)
        depth = max(2, int((box[3] - box[1]) * rng.uniform(0.08, 0.18)))
        flat = alpha.crop(box).resize((box[2] - box[0], depth * 2), Image.BILINEAR)
        flat = flat.point(lambda v: min(255, v * 2))
        shift = int(rng.uniform(-0.12, 0.2) * (box[2] - box[0]))
        pool.paste(flat, (box[0] + shift // 2, box[3] - depth))
        shadow = pool.filter(ImageFilter.GaussianBlur(float(rng.uniform(1.5, 4))))
    else:
        move = (int(rng.integers(-5, 6)), int(rng.integers(1, 7)))
        shadow = ImageChops.offset(alpha, *move).filter(
            ImageFilter.GaussianBlur(float(rng.uniform(1.5, 5)))
        )
    shadow = shadow.point(lambda v: int(v * strength * 0.7)).resize(picture.size, Image.BILINEAR)
    black = Image.new("RGB", picture.size, (18, 18, 26))
    return Image.composite(black, picture, shadow)
