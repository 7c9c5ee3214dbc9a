"""Compute content and perceptual hashes of image files; cached and resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import imagehash

from creative4u.errors import ImageError, InputError
from creative4u.images import MAX_BYTES, load_image
from creative4u.user_paths import is_file, opened, read_bytes

BANDS = 4  # of 16 bits: two 64-bit hashes at most 3 apart share at least one band
NEAR_P, NEAR_D = 3, 6  # bits of the perceptual and the difference hash (our choice)


@dataclass(frozen=True)
class Fingerprint:
    """One image: its content's SHA-256 and two 64-bit hashes, or the error that it raised."""

    image: str
    sha: str = ""
    phash: int = 0
    dhash: int = 0
    error: str = ""


def fingerprint(folder: Path, image: str) -> Fingerprint:
    """Read one image by our rules for images; a bad one is data, not an exception."""
    path = folder / image
    if not is_file(path):
        return Fingerprint(image, error="missing image")
    try:
        data = read_bytes(path, MAX_BYTES, name=image)
    except InputError as error:
        return Fingerprint(image, error=f"bad image: {error}")
    sha = hashlib.sha256(data).hexdigest()
    try:
        picture = load_image(data, name=image)
    except ImageError as error:
        return Fingerprint(image, sha, error=f"bad image: {error}")
    return Fingerprint(image, sha, _bits(imagehash.phash(picture)), _bits(imagehash.dhash(picture)))


def _sha(path: Path) -> str:
    """SHA-256 of a file's content; "" where it cannot be read."""
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except InputError:
        return ""


def _bits(found: imagehash.ImageHash) -> int:
    return int(str(found), 16)


def fingerprints(folder: Path, images: Iterable[str], cache: Path, threads: int = 2,
                 progress: Callable[[str], None] = lambda line: None) -> dict[str, Fingerprint]:
    """Hashes by image; those in `cache` (JSONL, appended to as we go) are not decoded again.

    The cache goes by the file's content: an image that was replaced is read anew.
    """
    cached = {row.image: row for row in _cached(cache)}
    wanted = sorted(set(images))
    cache.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(threads) as pool, cache.open("a", encoding="utf-8") as out:
        shas = pool.map(lambda image: _sha(folder / image), wanted)
        known = {image: cached[image] for image, sha in zip(wanted, shas, strict=True)
                 if image in cached and sha and cached[image].sha == sha}
        todo = [image for image in wanted if image not in known]
        for done, row in enumerate(pool.map(lambda image: fingerprint(folder, image), todo), 1):
            if done % 1000 == 0 or done == len(todo):
                progress(f"images: {done} of {len(todo)} read")
            if row.sha:  # one that could not be read is tried again
                out.write(json.dumps(asdict(row)) + "\n")
            known[row.image] = row
    return {image: known[image] for image in wanted}


def _cached(cache: Path) -> Iterator[Fingerprint]:
    if not cache.exists():
        return
    with cache.open("r+", encoding="utf-8") as lines:
        text = lines.read()
        whole = text[:text.rfind("\n") + 1]
        lines.seek(len(whole.encode()))
        lines.truncate()  # a line that a kill cut in half
    for line in whole.splitlines():
        yield Fingerprint(**json.loads(line))


def is_near(one: Fingerprint, other: Fingerprint) -> bool:
    """The same content, or so few bits apart that it is the same picture to the eye."""
    return one.sha == other.sha or (
        (one.phash ^ other.phash).bit_count() <= NEAR_P
        and (one.dhash ^ other.dhash).bit_count() <= NEAR_D)


def near_pairs(rows: Iterable[Fingerprint]) -> Iterator[tuple[Fingerprint, Fingerprint]]:
    """All pairs of near-duplicate images, some more than once.

    Exact: hashes at most 3 bits apart agree in one of four 16-bit bands, so only images that share
    a band are compared.
    """
    shelves: dict[tuple[int, int], list[Fingerprint]] = {}
    for row in rows:
        for band in range(BANDS):
            shelves.setdefault((band, row.phash >> 16 * band & 0xFFFF), []).append(row)
    for shelf in shelves.values():
        for one, other in combinations(shelf, 2):
            if is_near(one, other):
                yield one, other
