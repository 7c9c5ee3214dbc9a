"""Read JSON rows as people store them: one object a line, one array, or objects over many lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from creative4u.errors import InputError
from creative4u.files.table_text import is_text, open_text, read_text
from creative4u.user_paths import short_name

Shape = Literal["lines", "whole"]
Row = Mapping[str, Any]
TRIED = 100  # lines in which one object is looked for before a file is refused


def json_rows(path: Path, shape: Shape | None = None) -> Iterator[Row | str]:
    """The rows of a JSON file; a line that is no row comes as what is wrong with it.

    Raises InputError where the file as a whole is no list of rows.
    """
    if (shape or json_shape(path)) == "whole":
        yield from (_row(value) for value in _values(path))
        return
    with open_text(path) as lines:
        for line in lines:
            if line.strip():
                yield parse_line(line)


def strict_rows(path: Path) -> Iterator[dict[str, Any]]:
    """`json_rows` of a file that must be good throughout; raises InputError with the row."""
    for number, row in enumerate(json_rows(path), start=1):
        if isinstance(row, str):
            raise InputError(f"{short_name(path)}, row {number}: {row}")
        yield dict(row)


def json_shape(path: Path) -> Shape:
    """`lines` for one object a line, `whole` for an array or objects over several lines."""
    with open_text(path) as lines:
        first = list(islice((line for line in lines if line.strip()), TRIED))
    if not first or isinstance(parse_line(first[0]), Mapping):
        return "lines"
    if first[0].lstrip()[0] in "[{":
        try:
            _values(path)
            return "whole"
        except InputError:
            if not any(isinstance(parse_line(line), Mapping) for line in first):
                raise
    if any(isinstance(parse_line(line), Mapping) for line in first):
        return "lines"
    raise InputError(f"{short_name(path)}: holds no JSON rows; line 1: {parse_line(first[0])}")


def parse_line(line: str) -> Row | str:
    """One line's object, or what is wrong with it."""
    if not is_text(line):
        return "not UTF-8: damaged bytes"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {' '.join(str(error).split())}"
    return _row(value)


def _row(value: Any) -> Row | str:
    if isinstance(value, dict):
        return value
    return f"got a JSON {type(value).__name__}; a row is an object"


def _values(path: Path) -> list[Any]:
    """The items of one array, or the objects that follow each other."""
    text = read_text(path).strip()
    decoder, place, values = json.JSONDecoder(), 0, []
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            values.append(value)
            while place < len(text) and text[place] in " \t\r\n,":
                place += 1
    except (ValueError, RecursionError) as error:
        kind = "a JSON array" if text[0] == "[" else "JSON objects"
        raise InputError(
            f"{short_name(path)}: starts as {kind} and is damaged: {' '.join(str(error).split())}"
        ) from error
    if len(values) == 1 and isinstance(values[0], list):
        return list(values[0])
    return values
