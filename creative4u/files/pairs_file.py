"""Read a file of creative pairs (JSON, CSV or Parquet): checked rows; bad rows are rows too.

The one reader for every verb. `read_pairs` gives a row that cannot be judged as `RowError`;
`good_pairs`, for training and data sets, raises at the first.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from creative4u.errors import ImageError, InputError
from creative4u.files import pair_fields as fields
from creative4u.files.origin import bytes_hash, file_hash, value_hash
from creative4u.files.table_text import is_text
from creative4u.files.tables import Table, open_table
from creative4u.schema import CreativePair, Side
from creative4u.user_paths import is_file, is_folder, short_name

KNOWN = frozenset(CreativePair.model_fields) | {"images"}
NEEDED = ("product_title", "image_a", "image_b")
TOLD = 5  # values of a column that are told one by one as left out
_IMAGES: tuple[tuple[Side, str], ...] = (("A", "image_a"), ("B", "image_b"))
_MEASURES: dict[str, Callable[[Any], Any]] = {
    "ctr_a": fields.share_of, "ctr_b": fields.share_of, "impressions_a": fields.count_of,
    "impressions_b": fields.count_of, "answers": fields.answers_of, "reasoning": fields.text_of,
    "split": fields.split_of, "tags": fields.list_of,
}  # fmt: skip
_log = logging.getLogger(__name__)


class PairRow(CreativePair):
    """A pair as a file has it: paths are resolved against the file; a cell may hold bytes.

    `id_is_made_up`: the file names no pair_id in this row, and it is called `row-N`.
    """

    bytes_a: bytes | None = Field(None, exclude=True, repr=False)
    bytes_b: bytes | None = Field(None, exclude=True, repr=False)
    id_is_made_up: bool = Field(False, exclude=True, repr=False)

    def source(self, side: Side, folder: Path = Path()) -> Path | bytes:
        """What `images.load_image` takes: the embedded bytes, or else the path from `folder`."""
        data, path = (
            (self.bytes_a, self.image_a) if side == "A" else (self.bytes_b, self.image_b)
        )
        return folder / path if data is None else data

    def image_hashes(self, folder: Path = Path()) -> tuple[str, str]:
        """What names the bytes of both images; `origin.MISSING` where one cannot be read."""
        a, b = self.source("A", folder), self.source("B", folder)
        return (
            bytes_hash(a) if isinstance(a, bytes) else file_hash(a),
            bytes_hash(b) if isinstance(b, bytes) else file_hash(b),
        )

    def content(self, folder: Path = Path()) -> str:
        """32 hex digits that name all that a verdict depends on: title, queries, both images."""
        return value_hash([self.product_title, self.queries, self.image_hashes(folder)])


@dataclass(frozen=True)
class RowError:
    """A row that cannot be judged: its id, a code for machines and one line for people."""

    pair_id: str
    code: str
    message: str

    def content(self) -> str:
        """32 hex digits that name the row's fault, so that a mended row differs."""
        return value_hash([self.code, self.message])


def read_pairs(path: Path, skip: int = 0) -> Iterator[PairRow | RowError]:
    """Read pairs one at a time, in the file's order; memory does not grow with the file.

    The first `skip` rows are passed over unchecked; the others keep their numbers.

    A row without `pair_id` is called `row-N`, N from 1. Columns that no pair has, labels and
    figures that are not understood and ids that repeat are told once in the log; the row is judged.

    Raises:
        InputError: no such file, a format or encoding that is not read, a needed column missing.
    """
    table = check_pairs(path)
    reader = _Reader(table, table.folder)
    for number, row in enumerate(islice(table.rows(), skip, None), start=skip + 1):
        yield reader.pair(row, number)


def good_pairs(path: Path, unique: bool = False) -> Iterator[PairRow]:
    """The pairs of a file, or of the pairs.jsonl in a folder, that must be good throughout.

    For training and data sets: image paths stay as they are written, relative to the file.

    Raises InputError with the first bad row, with one that holds its images itself, and, where
    `unique`, with the first pair_id that stands twice.
    """
    file = path / "pairs.jsonl" if is_folder(path) else path
    if not is_file(file):
        raise InputError(
            f"no creative pairs at {short_name(path)}; make them with `creative4u data pairs`"
        )
    table = check_pairs(file)
    reader, places = _Reader(table, Path()), dict[str, int]()
    for number, cells in enumerate(table.rows(), start=1):
        row = reader.pair(cells, number)
        if isinstance(row, RowError):
            why = row.message
        elif row.bytes_a is not None or row.bytes_b is not None:
            why = "holds an image itself; image files are needed here"
        elif unique and places.setdefault(row.pair_id, number) != number:
            why = f"has the pair_id {row.pair_id[:40]!r} of row {places[row.pair_id]}"
        else:
            yield row
            continue
        raise InputError(f"{short_name(file)}, row {number}: {why}")


def check_pairs(path: Path) -> Table:
    """Settle all that holds for the whole file; raises InputError where it cannot be read."""
    table = open_table(path, KNOWN)
    have = set(table.columns)
    if "images" in have:
        have |= {"image_a", "image_b"}
    missing = [name for name in NEEDED if name not in have]
    if missing:
        shown = ", ".join(name[:40] for name in table.columns[:20]) or "none"
        raise InputError(
            f"{short_name(path)}: no column {' and '.join(missing)}; its columns are {shown}; "
            f"a pair has {', '.join(NEEDED)} and, if known, pair_id, queries, label"
        )
    return table


def count_rows(path: Path) -> int:
    """How many rows `read_pairs` will give."""
    return check_pairs(path).count()


class _Reader:
    """Makes pairs of one table's rows and tells once what it leaves out."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.table, self.folder = table, folder
        self.ids: set[int] = set()
        self.unused: set[str] = set()
        self.told = _told_of(table.path, table.path.stat().st_mtime_ns)
        self._numbers: dict[str, Side] | None = None

    def pair(self, row: Mapping[str, Any] | str, number: int) -> PairRow | RowError:
        """One row as a pair, or why it is none."""
        if isinstance(row, str):
            return RowError(f"row-{number}", "bad_row", row)
        unused = row.keys() - KNOWN - self.unused
        if unused:
            self.unused |= unused
            self._tell(f"columns not used: {', '.join(sorted(unused))}")
        pair_id, made_up = self._id(row, number)
        known: dict[str, Any] = {"pair_id": pair_id, "id_is_made_up": made_up}
        try:
            self._fill(known, row)
            return PairRow(**known)
        except ImageError as error:
            return RowError(pair_id, "bad_image", _line(error))
        except (ValidationError, ValueError) as error:
            return RowError(pair_id, "bad_row", _line(error))

    def _fill(self, known: dict[str, Any], row: Mapping[str, Any]) -> None:
        title = row.get("product_title")
        if not fields.is_nothing(title) or (isinstance(title, str) and not title.strip()):
            known["product_title"] = _clean("product_title", fields.text_of(title))
        if not fields.is_nothing(product := row.get("product_id")):
            known["product_id"] = _clean("product_id", fields.text_of(product))
        try:
            queries = fields.list_of(row.get("queries"))
            known["queries"] = tuple(_clean("queries", query) for query in queries)
        except fields.Unclear as error:
            raise InputError(f"queries: {error}") from None
        written = self._images(known, row)
        for name, read in _MEASURES.items():
            if not fields.is_nothing(value := row.get(name)):
                self._measure(known, name, functools.partial(read, value))
        if not fields.is_nothing(label := row.get("label")):
            self._measure(
                known, "label", lambda: fields.side_of(label, written, self._number_sides(label))
            )

    def _images(self, known: dict[str, Any], row: Mapping[str, Any]) -> dict[Side, str]:
        """Fill paths and bytes; returns the images' names as the row writes them."""
        cells = {name: row.get(name) for _, name in _IMAGES}
        if not fields.is_nothing(both := row.get("images")):
            try:
                first, second = fields.image_list(both)
            except fields.Unclear as error:
                raise InputError(f"images: {error}") from None
            cells = {"image_a": cells["image_a"] or first, "image_b": cells["image_b"] or second}
        written: dict[Side, str] = {}
        for side, name in _IMAGES:
            value = cells[name]
            if fields.is_nothing(value):
                continue  # the record says that it is missing
            try:
                data, path = fields.image_of(value)
            except InputError as error:
                raise type(error)(f"{name}: {error}") from None
            known[f"bytes_{name[-1]}"] = data
            path = _clean(name, path)
            written[side] = path
            inside = Path(f"{known['pair_id']}/{name}")
            known[name] = self.folder / path if data is None else Path(path or inside)
        return written

    def _measure(self, known: dict[str, Any], name: str, read: Callable[[], Any]) -> None:
        """Fill what only measures; what is not understood is left out and told."""
        try:
            value = read()
        except fields.Unclear as error:
            self._leave_out(name, str(error))
            return
        known[name] = value
        if name == "label" and value is None:
            self._tell("label: a tie favours no side; such rows count in no accuracy")

    def _leave_out(self, name: str, why: str) -> None:
        kinds = [kind for kind in self.told if kind.startswith(f"{name}: ")]
        if len(kinds) < TOLD:
            self._tell(f"{name}: {why}; it is left out, and the row is judged")
        else:
            self._tell(f"{name}: more values are left out", kind=f"{name}: ...")

    def _number_sides(self, label: Any) -> dict[str, Side]:
        """What numbers mean as labels, by all labels of the file; read when the first comes."""
        if self._numbers is None:
            written = "" if isinstance(label, bool | list | dict) else fields.text_of(label)
            if not written.isdecimal():
                return {}
            labels = {fields.text_of(row["label"]) for row in self.table.rows()
                      if not isinstance(row, str) and type(row.get("label")) in (str, int, float)
                      and not fields.is_nothing(row["label"])}  # fmt: skip
            self._numbers = fields.number_sides({one for one in labels if one.isdecimal()})
            if self._numbers:
                told = ", ".join(f"{number} is {side}" for number, side in self._numbers.items())
                self._tell(f"label: {told}")
        return self._numbers

    def _id(self, row: Mapping[str, Any], number: int) -> tuple[str, bool]:
        value = row.get("pair_id")
        if fields.is_nothing(value) or isinstance(value, bool | bytes | list | dict):
            return f"row-{number}", True
        pair_id = fields.text_of(value)
        if not pair_id or not is_text(pair_id):
            return f"row-{number}", True
        if hash(pair_id) in self.ids:
            self._tell(
                f"pair_id {pair_id[:40]!r} stands in several rows, the later one row {number}; "
                "rows with such ids are told apart by their place and content",
                kind="pair_id",
            )
        self.ids.add(hash(pair_id))
        return pair_id, False

    def _tell(self, line: str, kind: str = "") -> None:
        if (kind or line) not in self.told:
            self.told.add(kind or line)
            _log.warning("%s: %s", short_name(self.table.path), line)


@functools.lru_cache(maxsize=64)
def _told_of(path: Path, changed: int) -> set[str]:
    """What has been told of a state of a file in this process: a file is read several times."""
    return set()


def _clean(name: str, text: str) -> str:
    if not is_text(text):
        raise InputError(f"{name}: half a character (a lone surrogate) in {ascii(text)[:60]}")
    return text


def _line(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "missing" else f", got {str(first['input'])[:60]!r}"
    return f"{place}: {message}{got}"
