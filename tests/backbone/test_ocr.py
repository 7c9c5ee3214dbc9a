"""Text on a picture is read; a plain picture has none."""

from PIL import Image, ImageDraw, ImageFont

from creative4u.backbone.ocr import read_lines


def test_large_words_are_read_and_a_plain_picture_has_none() -> None:
    plain = Image.new("RGB", (320, 200), "white")
    written = plain.copy()
    ImageDraw.Draw(written).text((30, 70), "SALE 50%", "black", ImageFont.load_default(48))
    wide = written.resize((1600, 1000))  # over the longest side that is read
    said = ["".join(lines).replace(" ", "") for lines in read_lines([plain, written, wide])]
    assert said == ["", "SALE50%", "SALE50%"]
