"""Images: what is let in, what comes out of it, and that nothing but ImageError is ever raised."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from creative4u.errors import ImageError
from creative4u.images import (
    GREY,
    check_image,
    encode,
    image_format,
    image_hash,
    load_image,
    square,
)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(tag: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def png_header(width: int, height: int) -> bytes:
    """A PNG of few bytes that claims any size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_allowed_formats_come_out_as_rgb(kind: str) -> None:
    data = encoded(Image.new("RGB", (40, 30), (200, 10, 10)), kind)
    image = load_image(data)
    assert (image_format(data), image.mode, image.size) == (kind, "RGB", (40, 30))
    assert max(abs(a - b) for a, b in zip(image.getpixel((5, 5)), (200, 10, 10), strict=True)) <= 3


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"just text called .jpg", "not an image of an allowed format"),
        (b"", "not an image of an allowed format"),
        (encoded(Image.new("RGB", (40, 40)), "PPM"), "not an image of an allowed format"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not an image of an allowed format"),
        (encoded(Image.new("RGB", (1, 1))), "1x1 pixels; each side must be at least 28"),
        (encoded(Image.new("RGB", (27, 400))), "each side must be at least 28"),
        (encoded(Image.new("RGB", (28, 561))), "at most 20 times the shorter"),
        (png_header(20_000, 10_000), "more than 50,000,000 pixels"),  # above PIL's own error
        (png_header(12_000, 10_000), "more than 50,000,000 pixels"),  # above PIL's own warning
        (png_header(7_072, 7_072), "7072x7072 pixels; at most 50,000,000"),  # only above our limit
        (encoded(Image.new("RGB", (40, 40)))[:-30], "a damaged PNG file"),
        (b"\xff\xd8\xff" + b"x" * 20_000_000, "20,000,003 bytes; at most 20,000,000"),
    ],
)
def test_bad_bytes_give_one_line(data: bytes, says: str) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(data, name="a.jpg")
    message = str(caught.value)
    assert message.startswith("a.jpg: ")
    assert says in message
    assert "\n" not in message


def test_the_bounds_themselves_are_allowed() -> None:
    assert load_image(encoded(Image.new("RGB", (28, 560)))).size == (28, 560)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        load_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="not a file"):
        load_image(tmp_path)


def test_path_and_bytes_agree(tmp_path: Path) -> None:
    data = encoded(Image.linear_gradient("L").convert("RGB"))
    (tmp_path / "a.txt").write_bytes(data)  # the name's ending does not count
    assert image_hash(load_image(tmp_path / "a.txt")) == image_hash(load_image(data))


def test_exif_orientation_is_applied_and_dropped() -> None:
    image = Image.new("RGB", (40, 30), "black")
    image.paste("white", (0, 0, 40, 10))  # white at the stored top
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated 90 degrees clockwise
    exif[0x010E] = "a secret description"
    upright = load_image(encoded(image, "PNG", exif=exif))
    assert upright.size == (30, 40)
    assert upright.getpixel((29, 20)) == (255, 255, 255)  # the stored top is now on the right
    assert upright.getpixel((0, 20)) == (0, 0, 0)
    assert not upright.info
    assert not dict(upright.getexif())


def test_alpha_is_laid_on_white() -> None:
    half = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    half.paste((255, 0, 0, 255), (0, 0, 20, 40))
    for data in (encoded(half), encoded(half, "WEBP", lossless=True)):
        image = load_image(data)
        assert image.getpixel((5, 5)) == (255, 0, 0)
        assert image.getpixel((35, 5)) == (255, 255, 255)
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([9, 9, 9])
    assert load_image(encoded(palette, transparency=0)).getpixel((1, 1)) == (255, 255, 255)


def test_sixteen_bits_keep_their_upper_eight() -> None:
    grey = Image.new("I;16", (40, 40), 0x80FF)
    assert load_image(encoded(grey)).getpixel((3, 3)) == (0x80, 0x80, 0x80)


def test_square_keeps_the_aspect_ratio_on_grey() -> None:
    boxed = square(Image.new("RGB", (80, 40), "white"), 20)  # white 20x10, five grey rows each end
    assert boxed.size == (20, 20)
    assert [boxed.getpixel((10, y)) for y in (0, 4, 5, 14, 15)] == [
        GREY, GREY, (255, 255, 255), (255, 255, 255), GREY,
    ]  # fmt: skip


def test_encode_shrinks_and_never_enlarges() -> None:
    sizes = [
        load_image(encode(Image.new("RGB", size), max_side=100)).size
        for size in ((400, 200), (50, 40))
    ]
    assert sizes == [(100, 50), (50, 40)]


def test_hash_tells_size_and_pixels_apart() -> None:
    a, b = Image.new("RGB", (30, 40)), Image.new("RGB", (40, 30))
    assert image_hash(a) != image_hash(b)  # the same bytes in another shape
    assert image_hash(a) == image_hash(load_image(encoded(a)))
    assert len(image_hash(a)) == 32


def image_or_error(data: bytes) -> None:
    try:
        image = load_image(data)
    except ImageError as error:
        message, image = str(error), None
    else:
        message = ""
    assert "\n" not in message
    assert image is None or (image.mode == "RGB" and min(image.size) >= 28)


MAGIC = (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8L")


@given(st.sampled_from(MAGIC), st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_random_bytes(magic: bytes, rest: bytes) -> None:
    image_or_error(magic + rest)


GOOD = [
    encoded(Image.linear_gradient("L").convert("RGB").resize((48, 40)), kind, exif=Image.Exif())
    for kind in ("JPEG", "PNG", "WEBP")
]


@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255))))
@settings(max_examples=150, deadline=None)
def test_good_files_with_bytes_changed(good: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(good)
    for place, value in changes:
        data[place % len(data)] = value
    image_or_error(bytes(data))


def test_a_small_animation_that_claims_a_huge_canvas() -> None:
    frames = [Image.new("RGB", (40, 40), (shade, 0, 0)) for shade in (0, 99)]
    data = bytearray(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    assert load_image(bytes(data)).size == (40, 40)
    side = (16_382).to_bytes(3, "little")  # one less than the width, the format's way
    start = data.index(b"VP8X") + 12
    data[start : start + 6] = side + side
    with pytest.raises(ImageError, match="more than 50,000,000 pixels"):
        load_image(bytes(data))


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
@settings(max_examples=50, deadline=None)
def test_any_claimed_size(width: int, height: int) -> None:
    image_or_error(png_header(width, height))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_fit_shrinks_while_decoding_and_never_enlarges(kind: str) -> None:
    halves = Image.new("RGB", (1000, 600), (200, 10, 10))
    halves.paste((10, 10, 200), (0, 0, 500, 600))
    image = load_image(encoded(halves, kind), fit=100)
    assert image.size == (100, 60)
    for x, colour in ((20, (10, 10, 200)), (80, (200, 10, 10))):
        got = image.getpixel((x, 30))
        assert max(abs(a - b) for a, b in zip(got, colour, strict=True)) <= 3
    assert load_image(encoded(halves.resize((90, 60)), kind), fit=100).size == (90, 60)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_strips_join_without_a_seam(mode: str) -> None:
    """Taller than several strips; every mode: the fitted image is that of the whole one."""
    slope = Image.linear_gradient("L").resize((300, 1500))
    rows = slope.convert("RGBA") if mode == "I;16" else slope.convert("RGBA").convert(mode)
    if mode == "I;16":
        rows = slope.convert("I").point(lambda value: value * 256).convert("I;16")
    data = encoded(rows)
    whole = load_image(data)
    assert whole.size == (300, 1500)
    half = load_image(data, fit=750)
    assert half.tobytes() == whole.reduce(2).tobytes()


def test_a_format_that_is_decoded_in_several_copies_has_a_lower_limit() -> None:
    data = encoded(Image.new("L", (4001, 4000)), "WEBP")
    check_image(data)
    with pytest.raises(ImageError, match="4001x4000 pixels; at most 16,000,000"):
        check_image(data, fit=100)


def test_the_header_alone_is_checked() -> None:
    cut = encoded(Image.new("RGB", (40, 40)))[:-30]
    check_image(cut)
    with pytest.raises(ImageError, match="a damaged PNG file"):
        load_image(cut)
