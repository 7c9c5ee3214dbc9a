"""Render a creative from its spec, and record what it shows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from data.world.drawing import damage
from data.world.drawing.backgrounds import Colour, base_colour, crop_photograph, paint
from data.world.drawing.creative_spec import CreativeSpec, Subject
from data.world.drawing.place_product import fit, shade, stand, surface, tone
from data.world.drawing.text_layout import draw_blocks
from data.world.drawing.typefaces import Typefaces
from data.world.products.catalogue import Product
from data.world.products.cutouts import dye

FLOORS = {"studio", "shelf", "podium", "gradient", "flat", "shapes", "spotlight"}
TEXT_FULL = 0.35  # the share of the picture at which the fact `text` reaches 1


@dataclass(frozen=True)
class Stock:
    """What a renderer draws from; tests give their own."""

    cutouts: Mapping[str, Image.Image]  # code point -> RGBA
    others: Sequence[Product]  # things for props, clutter and the wrong product
    photographs: Sequence[Path] = ()
    typefaces: Typefaces = field(default_factory=Typefaces)


@dataclass(frozen=True)
class Rendered:
    """numbers: 0..1 by property; words: what is shown, said by name."""

    image: Image.Image
    numbers: dict[str, float]
    words: dict[str, str | list[str]]

    def jpeg(self, quality: int) -> bytes:
        buffer = io.BytesIO()
        self.image.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()


def render(spec: CreativeSpec, product: Product, stock: Stock) -> Rendered:
    """The creative. The same arguments and packages give the same pixels (our layout rules)."""
    size = spec.size
    rng = np.random.default_rng([spec.seed, 5])
    shown = product if spec.subject.wrong < 0 else _other(product, stock, spec.subject.wrong)
    cutout = dye(tone(stock.cutouts[shown.code], rng), shown.colour)
    colour = mean_colour(cutout)
    layer, whole = stand(
        surface(cutout, spec.subject.grain, stock.photographs, rng), spec.subject, size
    )
    alpha = layer.getchannel("A").point(lambda v: 255 if v > 100 else 0)

    box = alpha.getbbox() or (0, 0, *size)
    ground = min(max(box[3] / size[1], 0.55), 0.96)
    picture = paint(spec.backdrop, colour, size, stock.photographs, spec.seed, ground)
    floor = spec.backdrop.kind in FLOORS and abs(spec.subject.angle) < 25
    picture, props = _props(picture, spec, product, stock, alpha)
    picture = shade(picture, layer, spec.backdrop.shadow, floor, rng)
    picture.paste(layer, (0, 0), layer)

    over = Image.new("L", size, 0)  # what lies over the product
    text = Image.new("L", size, 0)
    strewn = Image.new("L", size, 0)
    picture = _inset(picture, over, spec, stock, rng)
    if spec.clutter:
        strew = np.random.default_rng([spec.seed, 17])
        things = [
            stock.cutouts[stock.others[int(i)].code]
            for i in strew.integers(len(stock.others), size=6)
        ]
        picture = damage.clutter(picture, spec.clutter, strew, things, strewn)
    strings = draw_blocks(picture, text, spec.text, product, box, stock.typefaces, spec.seed)
    _border(picture, over, spec, colour)

    over = ImageChops.lighter(ImageChops.lighter(over, text), strewn)
    numbers = {
        "size": float(np.sqrt(_share(alpha))),
        "whole": whole,
        "text": min(_share(text) / TEXT_FULL, 1.0),
        "cover": _share(ImageChops.darker(alpha, over)) / max(_share(alpha), 1e-6),
        "clutter": spec.clutter,
        "dark": spec.dark,
        "blur": max(spec.blur, spec.low_resolution),
        "props": min(props / 3, 1.0),
        "frame": max(spec.frame, spec.inset),
    }
    picture = _photograph(picture, spec)
    numbers["stand_out"] = stand_out(picture, alpha)
    words: dict[str, str | list[str]] = {
        "product": product.name,
        "shown_product": shown.name,
        "colour": shown.colour,
        "background": spec.backdrop.kind,
        "harmony": spec.backdrop.harmony,
        "text": list(strings),
        "place": _place(spec.subject),
        "quantity": str(spec.subject.quantity),
        "defects": [name for name in ("bright", "noise", "low_resolution") if getattr(spec, name)],
    }
    return Rendered(picture, {k: round(float(v), 4) for k, v in numbers.items()}, words)


def mean_colour(cutout: Image.Image) -> Colour:
    """The visible pixels' mean, RGB 0..255."""
    small = np.asarray(cutout.resize((32, 32), Image.BOX), np.float32)
    weight = small[..., 3:] / 255
    mean = (small[..., :3] * weight).sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
    return (float(mean[0]), float(mean[1]), float(mean[2]))


def stand_out(picture: Image.Image, alpha: Image.Image) -> float:
    """How far the product's mean differs from what surrounds it, 0..1, in lightness and hue.

    Opponent axes (lightness, red-green, yellow-blue); 110 grey levels of difference are full.
    """
    small = np.asarray(picture.resize((96, 96), Image.BOX), np.float32)
    mask = alpha.resize((96, 96), Image.BOX)
    inside = np.asarray(mask) > 150
    ring = (np.asarray(mask.filter(ImageFilter.MaxFilter(21))) > 20) & (np.asarray(mask) < 20)
    if not inside.any() or not ring.any():
        return 0.0
    r, g, b = (small[inside].mean(axis=0) - small[ring].mean(axis=0)).tolist()
    light, red, yellow = 0.3 * r + 0.59 * g + 0.11 * b, r - g, (r + g) / 2 - b
    return float(min(np.sqrt(light**2 + (red / 2) ** 2 + (yellow / 2) ** 2) / 110, 1.0))


def _share(mask: Image.Image) -> float:
    return float((np.asarray(mask) > 100).mean())


def _other(product: Product, stock: Stock, pick: int) -> Product:
    """A product of another category."""
    far = [other for other in stock.others if other.category != product.category]
    far = far or [other for other in stock.others if other.code != product.code]
    return far[pick % len(far)] if far else product


def _place(subject: Subject) -> str:
    across = "left" if subject.x < 0.4 else "right" if subject.x > 0.6 else "centre"
    down = "upper" if subject.y < 0.38 else "lower" if subject.y > 0.66 else "middle"
    return f"{down} {across}"


def _props(
    picture: Image.Image, spec: CreativeSpec, product: Product, stock: Stock, alpha: Image.Image
) -> tuple[Image.Image, int]:
    """Up to three things of the product's own world, standing small beside or behind it."""
    if not spec.props:
        return picture, 0
    rng = np.random.default_rng([spec.seed, 13])
    kin = [p for p in stock.others if p.category == product.category and p.code != product.code]
    kin = kin or list(stock.others)
    width, height = picture.size
    ground = (alpha.getbbox() or (0, 0, width, height))[3]
    seen = 0
    for i in range(spec.props):
        prop = kin[int(rng.integers(len(kin)))]
        thing = fit(
            dye(stock.cutouts[prop.code], prop.colour),
            rng.uniform(0.16, 0.3) * min(width, height),
            0,
            False,
        )
        x = rng.uniform(0.02, 0.3) if i % 2 else rng.uniform(0.7, 0.98)
        at = (
            int(x * (width - thing.width)),
            int(min(ground + rng.uniform(-0.06, 0.05) * height, height) - thing.height),
        )
        sheet = Image.new("RGBA", picture.size, (0, 0, 0, 0))
        sheet.paste(thing, at, thing)
        picture = shade(picture, sheet, spec.backdrop.shadow, True, rng)
        picture.paste(thing, at, thing)
        mask = sheet.getchannel("A")
        hidden = _share(ImageChops.darker(mask, alpha)) / max(_share(mask), 1e-6)
        seen += hidden < 0.6
    return picture, seen


def _inset(
    picture: Image.Image,
    over: Image.Image,
    spec: CreativeSpec,
    stock: Stock,
    rng: np.random.Generator,
) -> Image.Image:
    """A picture in the picture: a detail of this one, or another scene, in a corner or a card."""
    if not spec.inset:
        return picture
    width, height = picture.size
    side = int(min(picture.size) * (0.18 + 0.22 * spec.inset))
    if rng.random() < 0.5 and stock.photographs:
        small = crop_photograph(stock.photographs, float(rng.random()), (side, side), rng)
    else:
        left, top = int(rng.uniform(0.2, 0.5) * width), int(rng.uniform(0.2, 0.5) * height)
        small = picture.resize(
            (side, side), Image.BILINEAR, box=(left, top, left + side // 2, top + side // 2)
        )
    x = int(width * 0.04) if rng.random() < 0.5 else width - side - int(width * 0.04)
    y = int(height * 0.04) if rng.random() < 0.5 else height - side - int(height * 0.04)
    out = picture.copy()
    draw = ImageDraw.Draw(out)
    draw.rectangle([x - 3, y - 3, x + side + 2, y + side + 2], fill=(255, 255, 255))
    out.paste(small, (x, y))
    over.paste(255, (x - 3, y - 3, x + side + 3, y + side + 3))
    return out


def _border(picture: Image.Image, over: Image.Image, spec: CreativeSpec, colour: Colour) -> None:
    if not spec.frame:
        return
    rng = np.random.default_rng([spec.seed, 19])
    thick = max(3, int(min(picture.size) * (0.012 + 0.05 * spec.frame)))
    ink = tuple(
        int(c) for c in base_colour(colour, str(rng.choice(["contrast", "free", "similar"])), rng)
    )
    width, height = picture.size
    for target, fill in ((picture, ink), (over, 255)):
        ImageDraw.Draw(target).rectangle([0, 0, width - 1, height - 1], outline=fill, width=thick)
    if rng.random() < 0.4:
        inner = thick + 3
        ImageDraw.Draw(picture).rectangle(
            [inner, inner, width - 1 - inner, height - 1 - inner], outline=ink, width=1
        )


def _photograph(picture: Image.Image, spec: CreativeSpec) -> Image.Image:
    """What the camera does: white balance, vignette, the defects of exposure and focus."""
    rng = np.random.default_rng([spec.seed, 23])
    gains = 1 + 0.03 * rng.normal(size=3) + 0.03 * spec.backdrop.warmth * np.array([1, 0, -1])
    curve = np.arange(256) / 255
    curve = curve ** rng.uniform(0.9, 1.12)
    table = np.clip(curve[None] * gains[:, None] * 255, 0, 255).astype(np.uint8).reshape(-1)
    picture = picture.point(table.tolist())
    if rng.random() < 0.25:
        y, x = np.mgrid[-1:1:48j, -1:1:48j]
        fall = 255 * (rng.uniform(0.08, 0.3) * np.clip(np.hypot(x, y) - 0.5, 0, 1))
        shadow = Image.fromarray(fall.astype(np.uint8), "L").resize(picture.size, Image.BICUBIC)
        picture = Image.composite(Image.new("RGB", picture.size), picture, shadow)
    picture = damage.bright(picture, spec.bright)
    picture = damage.blur(picture, spec.blur, rng)
    picture = damage.low_resolution(picture, spec.low_resolution, rng)
    picture = damage.dark(picture, spec.dark, rng)
    return damage.noise(picture, spec.noise, rng)


def at_size(spec: CreativeSpec, shorter: int) -> CreativeSpec:
    """The same layout drawn with `shorter` pixels along the picture's shorter side."""
    scale = shorter / min(spec.size)
    return replace(spec, size=(round(spec.size[0] * scale), round(spec.size[1] * scale)))
