"""Find the image of a creative in a folder, by what a log calls it; nothing is written there."""

from __future__ import annotations

import json
import os
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit

from creative4u.errors import InputError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff")
METADATA = "metadata.jsonl"


class ImageFolder:
    """The images of a folder, by path, by file name, and by name without its ending.

    Its metadata.jsonl, where there is one, names creatives beside (`creative_id`, `file_name`). A
    name that fits two files is the image of neither. Raises InputError where there is no folder.
    """

    def __init__(self, folder: Path) -> None:
        if not os.path.isdir(folder):
            raise InputError(f"{folder}: no image folder")
        self.folder = folder
        self._exact: dict[str, list[Path]] = {}
        self._folded: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in ENDINGS:
                inside = path.relative_to(folder)
                for name in dict.fromkeys((inside.as_posix(), path.name, path.stem)):
                    self._exact.setdefault(name, []).append(path)
                    self._folded.setdefault(name.casefold(), []).append(path)
        self._named = _named(folder)

    def find(self, name: str) -> Path | None:
        """The image that a log calls `name`: an id, a file name, a path or an address."""
        if name in self._named:
            return self._named[name]
        if name.lower().startswith(("http://", "https://")):
            name = unquote(urlsplit(name).path.rpartition("/")[2])
        path = PureWindowsPath(name)  # both kinds of slashes
        for spelling in dict.fromkeys((path.as_posix(), path.name, path.stem)):
            found = self._exact.get(spelling) or self._folded.get(spelling.casefold(), [])
            if found:
                return found[0] if len(set(found)) == 1 else None
        return None


def _named(folder: Path) -> dict[str, Path]:
    """Creative ids to files, by the folder's own metadata."""
    listed = folder / METADATA
    if not listed.is_file():
        return {}
    named = {}
    for number, line in enumerate(listed.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            named[str(row.get("creative_id", row["file_name"]))] = folder / str(row["file_name"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{listed}, line {number}: no file_name ({error})") from error
    return named
