"""Find the photographs of installed packages and keep small cached copies."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image

from data.world.products.cutouts import cache_home

SIDE = 768  # px, the shorter side of a cached copy
# Debian's mate-backgrounds, gnome-backgrounds, ukui-wallpapers; plasma-workspace-wallpapers
FOLDERS = (Path("/usr/share/backgrounds"), Path("/usr/share/wallpapers"))
SKIMAGE = (
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png",
    "motorcycle_left.png", "rocket.jpg", "hubble_deep_field.jpg", "clock_motion.png",
)  # fmt: skip
SKLEARN = ("china.jpg", "flower.jpg")
GRADIO = ("cheetah1.jpg", "lion.jpg", "tower.jpg")


def find_photographs(folders: Sequence[Path] = FOLDERS) -> tuple[Path, ...]:
    """Small JPEG copies of what is found, sorted by name; made once, none found is no error.

    Byte-identical sources are kept once. Takes about half a second a photograph the first time.
    """
    cache = cache_home() / f"photographs-{SIDE}"
    cache.mkdir(parents=True, exist_ok=True)
    copies: dict[str, Path] = {}
    for source in _sources(folders):
        name = hashlib.sha256(f"{source}:{source.stat().st_size}".encode()).hexdigest()[:12]
        copy = cache / f"{source.stem.lower()[:20]}-{name}.jpg"
        if not copy.exists():
            _shrink(source, copy)
        copies.setdefault(hashlib.sha256(copy.read_bytes()).hexdigest(), copy)
    return tuple(sorted(copies.values(), key=lambda path: path.name))


def _sources(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        wallpapers: dict[Path, Path] = {}  # of a wallpaper's sizes, the largest
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"}:
                continue
            if path.stem == "screenshot" or path.is_symlink():
                continue
            nested = "contents" in path.parts
            key = path.parent if nested else path
            best = wallpapers.get(key)
            if best is None or path.stat().st_size > best.stat().st_size:
                wallpapers[key] = path
        yield from wallpapers.values()
    if folders == FOLDERS:
        for module, place, names in (
            ("skimage", "data", SKIMAGE),
            ("sklearn", "datasets/images", SKLEARN),
            ("gradio", "media_assets/images", GRADIO),
        ):
            spec = importlib.util.find_spec(module)
            if spec and spec.origin:
                root = Path(spec.origin).parent / place
                yield from (root / name for name in names if (root / name).is_file())


def _shrink(source: Path, copy: Path) -> None:
    with Image.open(source) as image:
        image.draft("RGB", (SIDE * 2, SIDE * 2))
        rgb = image.convert("RGB")
    scale = SIDE / min(rgb.size)
    if scale < 1:
        rgb = rgb.resize((round(rgb.width * scale), round(rgb.height * scale)), Image.LANCZOS)
    part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
    rgb.save(part, "JPEG", quality=92)
    part.replace(copy)


@lru_cache(maxsize=96)
def open_photograph(path: Path) -> Image.Image:
    """The cached copy's pixels, RGB; kept in memory."""
    with Image.open(path) as image:
        return image.convert("RGB")
