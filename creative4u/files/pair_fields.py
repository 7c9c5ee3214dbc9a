"""Turn a cell into a pair's field: the same for CSV, JSON, Parquet and data sets.

What a judge needs (title, queries, images) is read or refused. What only measures (label, CTR,
counts, answers, tags) never stops a row: what cannot be understood is left out, and `Unclear` says
what it was.
"""

from __future__ import annotations

import ast
import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creative4u.errors import ImageError, InputError
from creative4u.schema import ProtocolAnswers, Side
from creative4u.user_paths import NOT_FETCHED, address, data_url, short_name

NOTHING = frozenset({"", "nan", "none", "null", "n/a", "<na>", "nat"})  # cells that hold nothing
_A = {"a", "left", "first", "1st", "l", "左"}
_B = {"b", "right", "second", "2nd", "r", "右"}
_TIES = {
    "tie", "tied", "draw", "equal", "same", "both", "neither", "inconclusive", "a=b", "b=a", "-",
    "no_difference", "平", "平局",
}  # fmt: skip
_COMPARED: dict[str, Side] = {"a>b": "A", "b<a": "A", "a<b": "B", "b>a": "B"}
_KIND = re.compile(r"^(image|img|creative|ad|option|side|variant|version|banner)_*(?=[ab0-9]$)")
_WHOLE = re.compile(r"\d+\.0")
_GROUPED = re.compile(r"\d{1,3}([,' \u00a0\u202f]\d{3})+")
_SPLITS = {"val": "validation", "valid": "validation", "dev": "validation",
           "training": "train", "testing": "test"}  # fmt: skip


class Unclear(InputError):
    """A cell whose value is not understood."""


def is_nothing(value: Any) -> bool:
    """Whether a cell holds no value: null, NaN, or the words that pandas writes for them."""
    if isinstance(value, str):
        return value.strip().casefold() in NOTHING
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_of(value: Any) -> str:
    """A text or a number as text; 1001.0, which pandas makes of 1001, is `1001`, also as text."""
    if isinstance(value, str):
        text = value.strip()
        return text[:-2] if _WHOLE.fullmatch(text) else text
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unclear(f"a text is needed, got {_told(value)}")
    return str(int(value)) if float(value).is_integer() else str(value)


def list_of(value: Any) -> tuple[str, ...]:
    """Texts: a list, a JSON or Python list in a text, or a text parted by `|`, lines, `;` or `,`.

    A comma before a digit (`1,5 l`) parts nothing.
    """
    if is_nothing(value):
        return ()
    if isinstance(value, str):
        value = _listed(value.strip())
    elif isinstance(value, int | float):
        value = [value]
    if not isinstance(value, list | tuple):
        raise Unclear(f"a list of texts is needed, got {_told(value)}")
    return tuple(text for text in (text_of(one) for one in value if not is_nothing(one)) if text)


def _listed(text: str) -> list[Any]:
    if text.startswith("[") and text.endswith("]"):
        for parse in (json.loads, ast.literal_eval):
            try:
                found = parse(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(found, list):
                return found
        text = text[1:-1]
    for mark in (r"\|", r"[\r\n]+", r"[;；]", r"[,，、](?!\d)"):
        if re.search(mark, text):
            return re.split(mark, text)
    return [text]


def side_of(
    value: Any, images: Mapping[Side, str], numbers: Mapping[str, Side]
) -> Side | None:
    """The label as a side, None for a tie; raises Unclear.

    Args:
        value: `a`, ` A`, `left`, `image_b`, `A>B`, `tie`, the name of one of the images, a number.
        images: the pair's images as the row names them.
        numbers: what numbers mean in this file (`number_sides`).
    """
    if isinstance(value, bool):
        raise Unclear(f"{value} does not say which side")
    written = text_of(value)
    word = "_".join(written.casefold().split())
    short = _KIND.sub("", word)
    plain = word.replace("_", "")
    if short in _A or short in _B:
        return "A" if short in _A else "B"
    if plain in _COMPARED:
        return _COMPARED[plain]
    if word in _TIES or plain in _TIES:
        return None
    if written in numbers:
        return numbers[written]
    named: list[Side] = [side for side, image in images.items() if _names(written, image)]
    if len(named) == 1:
        return named[0]
    raise Unclear(f"{written[:40]!r} is no side")


def number_sides(labels: set[str]) -> dict[str, Side]:
    """What the numbers among a file's labels mean; {} where they leave it open.

    0 and 1 count the images, and so do 1 and 2; a file that has 1 alone could mean either.
    """
    if "0" in labels and labels <= {"0", "1"}:
        return {"0": "A", "1": "B"}
    if "2" in labels and labels <= {"1", "2"}:
        return {"1": "A", "2": "B"}
    return {}


def _names(label: str, image: str) -> bool:
    path = Path(image)
    return label.casefold() in {image.casefold(), path.name.casefold(), path.stem.casefold()}


def share_of(value: Any) -> float:
    """A rate from 0 to 1: a number, `0,02` or `2%`; raises Unclear."""
    text = text_of(value).replace(" ", "")
    percent = text.endswith("%")
    text = text.rstrip("%")
    if re.fullmatch(r"\d+,\d+", text):
        text = text.replace(",", ".")
    try:
        share = float(text) / (100 if percent else 1)
    except ValueError:
        raise Unclear(f"{_told(value)} is no rate") from None
    if not 0 <= share <= 1:
        raise Unclear(f"{_told(value)} is not between 0 and 1")
    return share


def count_of(value: Any) -> int:
    """A count: 1200, 1200.0 or `1,200`; raises Unclear."""
    text = text_of(value)
    if _GROUPED.fullmatch(text):
        text = re.sub(r"\D", "", text)
    if not re.fullmatch(r"\d{1,18}", text):
        raise Unclear(f"{_told(value)} is no count")
    return int(text)


def answers_of(value: Any) -> ProtocolAnswers:
    """Protocol answers: an object, or its JSON; raises Unclear."""
    try:
        if isinstance(value, str):
            return ProtocolAnswers.model_validate_json(value)
        return ProtocolAnswers.model_validate(value)
    except ValueError:
        raise Unclear("not the ten answers of the protocol") from None


def split_of(value: Any) -> str:
    """The split's name; `val`, `dev` and the like are `validation`."""
    text = text_of(value)
    return _SPLITS.get(text.casefold(), text.casefold() if text.isalpha() else text)


def image_of(value: Any) -> tuple[bytes | None, str]:
    """An image's bytes where the cell holds them, and its path or name; raises ImageError, Unclear.

    The cell is a path, bytes, a data URL, or what `datasets` keeps: `{"bytes", "path"}`.
    """
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
        if isinstance(data, str):
            try:
                data = base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError) as error:
                raise ImageError(f"bytes that are no base64 ({error})") from None
        if not data and is_nothing(path):
            raise Unclear("neither bytes nor a path")
        return (data or None, str(path or "")) if data else image_of(path)
    if isinstance(value, bytes):
        return value, ""
    if not isinstance(value, str):
        raise Unclear(f"a path is needed, got {_told(value)}")
    written = value.strip()
    try:
        data = data_url(written)
    except InputError as error:
        raise ImageError(str(error)) from None
    if data is not None:
        return data, ""
    if (url := address(written)) is not None:
        raise ImageError(f"{short_name(url)}: {NOT_FETCHED}")
    return None, written


def image_list(value: Any) -> tuple[Any, Any]:
    """The two cells of `images: [a, b]`, also in a text; raises Unclear."""
    found = _listed(value.strip()) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or len(found) != 2:
        count = len(found) if isinstance(found, list | tuple) else 1
        raise Unclear(f"two images are needed, got {count}")
    return found[0], found[1]


def _told(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"
