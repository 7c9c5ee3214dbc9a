"""One picture is told from two: copies are found, and small changes are not taken for copies."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from creative4u.selector.same_picture import likeness


@pytest.fixture(scope="module", params=["photograph", "poster"])
def creative(request: pytest.FixtureRequest) -> Image.Image:
    """A drawn product, on a lit and slightly grainy ground or on a plain one."""
    rng = np.random.default_rng(0)
    light = np.linspace(170, 240, 400)[None, :, None] + rng.normal(0, 3, (320, 400, 3))
    image = Image.fromarray(light.clip(0, 255).astype(np.uint8))
    if request.param == "poster":
        image = Image.new("RGB", (400, 320), "#e8e4da")
    pen = ImageDraw.Draw(image)
    pen.ellipse((90, 60, 260, 270), fill="#1f5fa8", outline="#0b2747", width=5)
    pen.rectangle((150, 120, 205, 215), fill="#f2c14e")
    for x in range(270, 390, 12):
        pen.line((x, 250, x + 6, 300), fill="#333333", width=3)
    return image


def saved(image: Image.Image, kind: str, **options: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file).convert("RGB")


def test_the_same_pixels_are_the_same_whatever_file_they_came_from(creative: Image.Image) -> None:
    assert likeness(creative, creative.copy()) == "same"
    assert likeness(creative, saved(creative, "PNG")) == "same"


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_a_resaved_picture_is_a_copy(creative: Image.Image, quality: int) -> None:
    copy = saved(creative, "JPEG", quality=quality)
    assert likeness(creative, copy) == likeness(copy, creative) == "copy"


@pytest.mark.parametrize("how", [Image.Resampling.BOX, Image.Resampling.LANCZOS])
def test_a_picture_of_half_the_size_is_a_copy(
    creative: Image.Image, how: Image.Resampling
) -> None:
    half = creative.resize((200, 160), how)
    assert likeness(creative, half) == likeness(half, creative) == "copy"
    odd = creative.crop((0, 0, 399, 319))
    assert likeness(odd, odd.resize((199, 159), how)) == "copy"  # sides are rounded
    assert likeness(creative, saved(half, "JPEG", quality=75)) == "copy"


def test_the_smallest_images_are_compared_pixel_by_pixel() -> None:
    plain = Image.new("RGB", (28, 30), "#c0c0c0")
    dotted = plain.copy()
    dotted.putpixel((9, 9), (255, 255, 255))
    lighter = Image.new("RGB", (28, 30), "#c1c1c1")
    assert likeness(plain, dotted) is None
    assert likeness(plain, lighter) == "copy"  # a grey level is within what JPEG rounds


def test_a_small_change_is_another_picture(creative: Image.Image) -> None:
    sticker = creative.copy()
    pen = ImageDraw.Draw(sticker)
    pen.rectangle((20, 20, 80, 50), fill="#ffffff", outline="#999999")
    pen.text((30, 28), "$19.99", fill="#aa0000")
    other = sticker.copy()
    ImageDraw.Draw(other).rectangle((30, 28, 70, 42), fill="#ffffff")
    ImageDraw.Draw(other).text((30, 28), "$14.49", fill="#aa0000")
    assert likeness(sticker, other) is None
    for changed in (
        sticker,
        creative.crop((0, 0, 360, 320)),
        creative.crop((20, 16, 380, 304)),
        creative.crop((20, 16, 380, 304)).resize(creative.size),
        creative.filter(ImageFilter.GaussianBlur(2)),
        creative.point(lambda value: 0.9 * value),
        creative.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ):
        assert likeness(creative, changed) is None
        assert likeness(changed, creative) is None
