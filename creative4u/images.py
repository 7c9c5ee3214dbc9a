"""Read untrusted image bytes as a clean RGB image; raise ImageError with one line.

A clean image is upright, in RGB, carries no metadata and shares nothing with its file. Colour
profiles are dropped, not applied; of an animation the first frame counts.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from creative4u.errors import ImageError, InputError
from creative4u.user_paths import NOT_FETCHED, address, data_url, read_bytes, short_name

MIN_SIDE = 28  # pixels; smaller images have crashed vision-language servers
MAX_ASPECT = 20  # longer side over shorter side
MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
MAX_PIXELS_FITTED = 16_000_000  # of formats whose decoder holds several copies of the whole image
LEAN = ("JPEG", "PNG")  # formats whose decoder holds one copy of the image at most
STRIP = 256  # rows that are converted at a time
GREY = (124, 116, 104)  # ImageNet's mean colour: what a vision model reads as nothing
ALLOWED = "JPEG, PNG, WEBP, AVIF, GIF, BMP or TIFF"

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_AVIF = (b"avif", b"avis")  # brands of the ISO media container; others are films or HEIC
# warnings.catch_warnings swaps process-wide filters, so only one thread may be inside it.
_warnings_lock = threading.Lock()


def load_image(
    source: Path | str | bytes, name: str | None = None, fit: int | None = None
) -> Image.Image:
    """Read one image from a file or from bytes.

    The format is told by the first bytes, never by the file's name, and the size is checked from
    the header before any pixel is decoded. Transparency is laid on white.

    Args:
        source: a path, or the file's bytes; a text is what a user wrote: a path or a data URL.
        name: what to call the image in an error; the path by default.
        fit: shrink to at most so many pixels a side while decoding, so that an image from a
            stranger takes at most about 450 MB; by default nothing is shrunk.

    Returns:
        A PIL image in mode RGB, at least 28 and at most 50 million pixels, without metadata.

    Raises:
        ImageError: missing, unreadable, not an allowed format, out of bounds or damaged.
    """
    with _checked(source, name, fit) as image:
        return _clean(image, fit)


def check_image(
    source: Path | str | bytes, name: str | None = None, fit: int | None = None
) -> None:
    """Check format and size from the header alone; raises ImageError as `load_image` would."""
    with _checked(source, name, fit):
        pass


def image_format(data: bytes) -> str | None:
    """The format, in Pillow's words, by the magic bytes; None for one that is not allowed."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        size = min(int.from_bytes(data[:4], "big"), 256)  # the box: its major brand, then others
        brands = {data[8:12], *(data[place : place + 4] for place in range(16, size, 4))}
        return "AVIF" if brands & {*_AVIF} else None
    return None


def square(image: Image.Image, side: int) -> Image.Image:
    """Fit the whole image into a square of `side` pixels, centred on neutral grey."""
    return ImageOps.pad(image, (side, side), Image.Resampling.BICUBIC, color=GREY)


def encode(image: Image.Image, max_side: int = 1024, quality: int = 90) -> bytes:
    """The image as JPEG bytes, shrunk (never enlarged) to at most `max_side` pixels a side."""
    small = image.copy()
    small.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def image_hash(image: Image.Image) -> str:
    """32 hex digits that name size and RGB values, whatever file they came from."""
    digest = hashlib.blake2b(f"{image.width}x{image.height}:".encode(), digest_size=16)
    digest.update(image.convert("RGB").tobytes())
    return digest.hexdigest()


def _read(source: Path | str, label: str) -> bytes:
    if (url := address(str(source))) is not None:
        raise ImageError(f"{short_name(url)}: {NOT_FETCHED}")
    try:
        if isinstance(source, str) and (data := data_url(source)) is not None:
            return data
        return read_bytes(Path(source), MAX_BYTES, label)
    except InputError as error:
        raise ImageError(str(error)) from error


@contextmanager
def _checked(source: Path | str | bytes, name: str | None, fit: int | None) -> Iterator[Any]:
    """The opened image, its header checked; what goes wrong inside becomes an ImageError."""
    label = name or ("image" if isinstance(source, bytes) else short_name(source))
    data = source if isinstance(source, bytes) else _read(source, label)
    if len(data) > MAX_BYTES:
        raise ImageError(f"{label}: {len(data):,} bytes; at most {MAX_BYTES:,} are allowed")
    kind = image_format(data)
    if kind is None:
        raise ImageError(f"{label}: not an image of an allowed format ({ALLOWED})")
    most = MAX_PIXELS if fit is None or kind in LEAN else MAX_PIXELS_FITTED
    try:
        with _open(data, kind) as image:
            _check_size(image.width, image.height, label, most)
            yield image
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{label}: more than {MAX_PIXELS:,} pixels, the most allowed") from error
    except MemoryError as error:
        raise ImageError(f"{label}: too large to decode in memory") from error
    except Exception as error:  # decoders of untrusted bytes raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{label}: a damaged {kind} file ({reason[:120]})") from error


def _open(data: bytes, kind: str) -> Any:
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF and the like: no news to the user
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(io.BytesIO(data), formats=[kind])
        except Image.DecompressionBombWarning as warning:
            raise Image.DecompressionBombError(str(warning)) from warning


def _check_size(width: int, height: int, label: str, most: int) -> None:
    got = f"{label}: {width}x{height} pixels"
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{got}; each side must be at least {MIN_SIDE}")
    if width * height > most:
        raise ImageError(f"{got}; at most {most:,} pixels are allowed")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(f"{got}; the longer side may be at most {MAX_ASPECT} times the shorter")


def _clean(image: Image.Image, fit: int | None) -> Image.Image:
    """Upright RGB on white, in strips: beside the decoded image only the result is whole."""
    if fit is not None:  # a JPEG is decoded at a half, a quarter or an eighth of its size
        scale = min(1.0, fit / max(image.size))
        image.draft(None, (round(scale * image.width), round(scale * image.height)))
    image.load()
    turn = _UPRIGHT.get(_orientation(image))
    (width, height), by = image.size, max(1, max(image.size) // fit) if fit else 1
    canvas = Image.new("RGB", (-(-width // by), -(-height // by)))
    rows = max(STRIP // by, 1) * by
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        canvas.paste(_on_white(strip).reduce(by), (0, top // by))
    if fit is not None:
        canvas.thumbnail((fit, fit), Image.Resampling.BICUBIC)
    return canvas.transpose(turn) if turn is not None else canvas


def _on_white(image: Image.Image) -> Image.Image:
    plain = image.convert("RGBA") if image.has_transparency_data else image
    if plain.mode.startswith("I"):  # 16 bits a pixel: keep the upper 8
        plain = plain.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if plain.mode != "RGBA":
        return plain.convert("RGB")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(plain.convert("RGB"), mask=plain)
    return canvas


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 (upright) where there is none or the EXIF block is broken."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a broken EXIF block does not make the picture unusable
        return 1
