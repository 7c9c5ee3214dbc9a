"""Collect clip art, renders and photographs of packages as images with names.

    python -m data.images.named_images OUT --clipart 2000

    OUT/images/*.jpg, OUT/metadata.jsonl (file_name, title, category, source, split)

What MOON's pretraining learns the names of things from. Clip art is Debian's `openclipart-png`
(public domain), renders are those of `data.world`, stamps (drawings and photographs, GPL) those of
its `tuxpaint-stamps-default`; photographs carry no name (title "").
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from creative4u.errors import ImageError
from creative4u.images import load_image
from data.world.drawing.backgrounds import crop_photograph
from data.world.drawing.photographs import find_photographs
from data.world.products.catalogue import sellables
from data.world.products.cutouts import Cutouts, fetch_renders

CLIPART = Path("/usr/share/openclipart/png")
SIDE = 384  # px
TEST_SHARE = 0.15
GROUPS = ("animals", "buildings", "clothing", "computer", "electronics", "food", "household",
          "music", "office", "plants", "recreation", "tools", "toys", "transportation",
          "education", "science", "people/bodyparts", "geography", "special")  # fmt: skip
NOT_THINGS = ("FACE", "SQUARE", "ARROW", "SIGN", "SYMBOL", "CIRCLE", "CLOCK FACE", "BUTTON",
              "IDEOGRAPH", "SQUARED", "MARK", "INDICATOR", "HEART", "PERSON", "HAND", "MOON",
              "SKIN", "DIAMOND", "REGIONAL", "TAG ", "KEYCAP", "ZODIAC", "STAR ")  # fmt: skip


def split_of(title: str) -> str:
    """train or test by the last word of the title, so that no thing is in both; nameless: train."""
    if not title:
        return "train"
    head = title.lower().split()[-1]
    return "test" if hashlib.sha256(head.encode()).digest()[0] < 256 * TEST_SHARE else "train"


def words_of(stem: str, known: frozenset[str]) -> str:
    """The leading words of a clip art's file name that are English; authors and numbers go."""
    words = []
    for word in re.split(r"[_\-\s]+", re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", stem)):
        if word.lower() not in known or not word.isalpha() or len(word) < 3:
            break
        words.append(word.lower())
    return " ".join(words[:3])


def clip_art(folder: Path, most: int, seed: int) -> Iterator[tuple[Image.Image, str, str]]:
    """Image, title, category; at most three of a title, drawn at random from the groups."""
    from creative4u.backbone.sentences import sentence_tokenizer

    known = frozenset(sentence_tokenizer().get_vocab())
    files = [
        path
        for path in sorted(folder.rglob("*.png"))
        if str(path.relative_to(folder)).startswith(GROUPS)
    ]
    taken: dict[str, int] = {}
    for row in np.random.default_rng([seed, 51]).permutation(len(files)):
        path = files[int(row)]
        title = words_of(path.stem, known)
        if not title or taken.get(title, 0) >= 3 or sum(taken.values()) >= most:
            continue
        try:
            picture = on_white(load_image(path).convert("RGBA"))
        except ImageError:
            continue  # damaged, or too large to be a picture
        taken[title] = taken.get(title, 0) + 1
        yield picture, title, path.parent.name.replace("_", " ")


def renders() -> Iterator[tuple[Image.Image, str, str]]:
    """Renders of things: the shop's kinds by their names, others by their Unicode names."""
    cutouts = Cutouts(fetch_renders())
    sold = {kind.code: (kind.name, kind.category) for kind in sellables()}
    for code in cutouts:
        if "-" in code and code not in sold:
            continue
        points = [chr(int(point, 16)) for point in code.split("-")]
        name = unicodedata.name(points[0], "") if len(points) == 1 else ""
        if code in sold:
            title, category = sold[code]
        elif name and not any(word in name for word in NOT_THINGS):
            title, category = name.lower().replace("black ", "").replace("white ", ""), "things"
        else:
            continue
        yield on_white(cutouts[code]), title, category


def stamps(folder: Path) -> Iterator[tuple[Image.Image, str, str]]:
    """Tux Paint's stamps of things by the first words said of them, at most five; no symbols."""
    for path in sorted(folder.rglob("*.png")):
        group = path.relative_to(folder).parts[0]
        told = path.with_suffix(".txt")
        if group == "symbols" or path.stem.endswith("_mirror") or not told.is_file():
            continue
        first = re.split(r"[.!?(,;:]", told.read_text("utf-8", "ignore").splitlines()[0])[0]
        title = re.sub(r"^(a|an|the|some)\s+", "", first.strip(), flags=re.IGNORECASE).lower()
        with Image.open(path) as image:
            rgba = image.convert("RGBA")
        if not title or len(title.split()) > 5 or min(rgba.size) < 60:
            continue
        box = rgba.getchannel("A").point(lambda v: 255 if v > 24 else 0).getbbox()
        thing = rgba.crop(box) if box else rgba
        scale = (SIDE - 40) / max(thing.size)
        if scale > 1:
            size = (max(1, round(thing.width * scale)), max(1, round(thing.height * scale)))
            thing = thing.resize(size, Image.Resampling.LANCZOS)
        yield on_white(thing), title, group


def crops(most: int, seed: int) -> Iterator[tuple[Image.Image, str, str]]:
    """Crops of photographs, without a name."""
    photographs = find_photographs()
    rng = np.random.default_rng([seed, 53])
    for _ in range(most if photographs else 0):
        yield crop_photograph(photographs, float(rng.random()), (SIDE, SIDE), rng), "", "photograph"


def on_white(image: Image.Image) -> Image.Image:
    """RGBA in, RGB out: fitted into a white square with a little room around."""
    fitted = image.copy()
    fitted.thumbnail((SIDE - 40, SIDE - 40), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    place = ((SIDE - fitted.width) // 2, (SIDE - fitted.height) // 2)
    canvas.paste(fitted, place, fitted)
    return canvas


def build_named_pictures(
    out: Path,
    clipart: int = 2000,
    photographs: int = 300,
    seed: int = 7,
    folder: Path = CLIPART,
    stamped: Path | None = None,
) -> int:
    """Write the folder and return the number of its pictures; without clip art, the rest only."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    sources = {
        "clipart": clip_art(folder, clipart, seed),
        "render": renders(),
        "stamp": stamps(stamped) if stamped else iter(()),
        "photograph": crops(photographs, seed),
    }
    rows = []
    for source, pictures in sources.items():
        for number, (image, title, category) in enumerate(pictures):
            name = f"images/{source}-{number:05d}.jpg"
            image.save(out / name, "JPEG", quality=90)
            row = {"file_name": name, "title": title, "category": category, "source": source}
            rows.append(json.dumps(row | {"split": split_of(title)}))
    part = out / "metadata.part"
    part.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    part.replace(out / "metadata.jsonl")
    return len(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--clipart", type=int, default=2000)
    parser.add_argument("--photographs", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=CLIPART)
    parser.add_argument("--stamps", type=Path, help="usr/share/tuxpaint/stamps, if it is there")
    given = parser.parse_args(arguments)
    count = build_named_pictures(
        given.out, given.clipart, given.photographs, folder=given.folder, stamped=given.stamps
    )
    print(count)


if __name__ == "__main__":
    main()
