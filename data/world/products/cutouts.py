"""Load a product's RGBA cut-out by code point; the renders come from a pinned npm package."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from creative4u.errors import AssetError

PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"  # MIT
SHA256 = "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58"

# Name of a colour -> hue in degrees, saturation factor, value gain, value lift.
DYES: dict[str, tuple[float | None, float, float, float]] = {
    "black": (None, 0.15, 0.34, 0.0),
    "grey": (None, 0.10, 0.75, 0.05),
    "white": (None, 0.08, 0.42, 0.56),
    "beige": (36.0, 0.42, 0.75, 0.2),
    "navy": (222.0, 0.95, 0.5, 0.02),
    "red": (358.0, 1.0, 0.92, 0.0),
    "orange": (24.0, 1.0, 1.0, 0.0),
    "green": (140.0, 0.75, 0.75, 0.0),
    "blue": (212.0, 0.95, 0.95, 0.0),
    "purple": (276.0, 0.8, 0.9, 0.0),
    "pink": (335.0, 0.6, 1.0, 0.05),
    "brown": (26.0, 0.75, 0.55, 0.0),
}


def cache_home() -> Path:
    """The folder for fetched things: $CREATIVE4U_HOME, else the user's cache folder."""
    home = os.environ.get("CREATIVE4U_HOME")
    if home:
        return Path(home)
    import platformdirs

    return Path(platformdirs.user_cache_dir("creative4u"))


def fetch_renders(archive: Path | None = None) -> Path:
    """The folder of `<code point>.webp`; packs, checks and unpacks once, then an atomic rename.

    `archive`: an already downloaded package file. Raises AssetError when npm is missing, the
    download fails or the file is not the pinned one.
    """
    folder = cache_home() / "fluent-emoji-3d-1.1.0"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".renders-"))
    try:
        packed = archive or _npm_pack(scratch)
        digest = hashlib.sha256(packed.read_bytes()).hexdigest()
        if digest != SHA256:
            raise AssetError(f"{PACKAGE}: expected sha256 {SHA256}, got {digest}")
        with tarfile.open(packed) as tar:
            tar.extractall(scratch / "unpacked", filter="data")
        try:
            (scratch / "unpacked" / "package" / "assets").rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was first: its copy is as good
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _npm_pack(into: Path) -> Path:
    try:
        subprocess.run(
            ["npm", "pack", PACKAGE, "--silent"],
            cwd=into, check=True, capture_output=True, timeout=600,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise AssetError(f"npm pack {PACKAGE} failed ({error}); the world needs npm") from error
    return next(into.glob("*.tgz"))


class Cutouts(Mapping[str, Image.Image]):
    """Code point -> RGBA cut-out, cropped to what is visible; read lazily from a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._codes = sorted(path.stem for path in folder.glob("*.webp"))
        self._read = lru_cache(maxsize=1024)(self._open)

    def _open(self, code: str) -> Image.Image:
        with Image.open(self.folder / f"{code}.webp") as image:
            rgba = image.convert("RGBA")
        box = rgba.getchannel("A").point(lambda v: 255 if v > 24 else 0).getbbox()
        return rgba.crop(box) if box else rgba

    def __getitem__(self, code: str) -> Image.Image:
        if not (self.folder / f"{code}.webp").is_file():
            raise KeyError(code)
        return self._read(code)

    def __iter__(self) -> Iterator[str]:
        return iter(self._codes)

    def __len__(self) -> int:
        return len(self._codes)


def dye(cutout: Image.Image, colour: str) -> Image.Image:
    """The cut-out in another colour (a name in DYES; anything else leaves it as it is)."""
    if colour not in DYES:
        return cutout
    hue, saturation, gain, lift = DYES[colour]
    alpha = cutout.getchannel("A")
    hsv = np.asarray(cutout.convert("RGB").convert("HSV")).astype(np.float32)
    if hue is not None:
        # keep a fifth of the hue's own variation, so that parts stay apart
        centre = float(np.median(hsv[..., 0]))
        spread = (hsv[..., 0] - centre + 128) % 256 - 128
        hsv[..., 0] = (hue / 360 * 256 + 0.2 * spread) % 256
        hsv[..., 1] = np.clip(np.maximum(hsv[..., 1], 110) * saturation, 0, 255)
    else:
        hsv[..., 1] *= saturation
    hsv[..., 2] = np.clip(hsv[..., 2] * gain + 255 * lift, 0, 255)
    rgb = Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB")
    rgb.putalpha(alpha)
    return rgb
