"""Find the machine's typefaces by script and weight; Pillow's own where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

LATIN = (
    "NotoSans-Bold", "NotoSans-Regular", "NotoSans-Black", "NotoSerif-Bold", "NotoSerif-Regular",
    "NotoSansDisplay-Bold", "NotoSerifDisplay-Bold", "NotoSansMono-Bold", "DejaVuSans-Bold",
    "DejaVuSans", "DejaVuSerif-Bold", "DejaVuSansMono-Bold", "NotoSans-Light",
    "NotoSansDisplay-Black", "NotoSerif-Black", "NotoSans-CondensedBold", "NotoSans-ExtraBold",
)  # fmt: skip
CHINESE = ("NotoSansCJK-Bold", "NotoSansCJK-Black", "NotoSerifCJK-Bold", "NotoSansCJK-Regular")


@dataclass(frozen=True)
class Typefaces:
    """Font files by script, sorted by name, so that a seed picks the same on the same machine."""

    latin: tuple[Path, ...] = ()
    chinese: tuple[Path, ...] = ()

    def font(self, pick: float, size: int, chinese: bool = False) -> Font:
        """The typeface at `pick` in 0..1, `size` in pixels."""
        paths = self.chinese if chinese else self.latin
        if not paths:
            return _default(max(size, 6))
        return _load(str(paths[min(int(pick * len(paths)), len(paths) - 1)]), max(size, 6))


@lru_cache(maxsize=512)
def _load(path: str, size: int) -> Font:
    # In Noto's CJK collections index 2 is Simplified Chinese.
    return ImageFont.truetype(path, size, index=2 if path.endswith(".ttc") else 0)


@lru_cache(maxsize=64)
def _default(size: int) -> Font:
    return ImageFont.load_default(size)


def find_typefaces(folders: Sequence[Path] = (Path("/usr/share/fonts"),)) -> Typefaces:
    """The known families under `folders`; none found is no error."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.[to]t[fc]")):
            found.setdefault(path.stem, path)
    return Typefaces(
        latin=tuple(found[name] for name in LATIN if name in found),
        chinese=tuple(found[name] for name in CHINESE if name in found),
    )
