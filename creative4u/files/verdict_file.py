"""Read a file of verdicts (JSONL or Parquet), and join it to the pairs that were judged.

The one reader for every verb. A row has `pair_id`, the verdict's fields or `error`, and `content`,
which names the title, the queries and the images that were judged (`PairRow.content`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from creative4u.errors import InputError
from creative4u.files.json_rows import json_rows
from creative4u.files.origin import MISSING, file_hash
from creative4u.files.pairs_file import PairRow, RowError, read_pairs
from creative4u.user_paths import is_folder, opened, read_bytes, short_name

Row = Mapping[str, Any]
CONTENT = "content"


def read_verdicts(path: Path) -> Iterator[Row]:
    """The rows of a verdict file, in its order; raises InputError with the row's number."""
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else json_rows(path, "lines")
    for number, row in enumerate(rows, start=1):
        if not _is_verdict(row):
            raise InputError(f"{short_name(path)}, line {number}: not a verdict row")
        assert not isinstance(row, str)
        yield row


def _is_verdict(row: Row | str) -> bool:
    """Whether a row is an error or has what every reader of verdicts takes for granted."""
    if isinstance(row, str) or "pair_id" not in row:
        return False
    if row.get("error"):
        error = row["error"]
        return isinstance(error, Mapping) and "code" in error
    orders, probability = row.get("orders"), row.get("probability_a")
    return (
        isinstance(orders, list)
        and all(isinstance(order, Mapping) and "choice" in order for order in orders)
        and isinstance(probability, int | float)
        and 0 <= probability <= 1
        and "choice" in row
        and "consistent" in row
    )


def _parquet_rows(path: Path) -> Iterator[Row]:
    """What a row has not is null there; it is left out here."""
    import pyarrow
    import pyarrow.parquet as parquet

    with opened(path) as file:
        try:
            for batch in parquet.ParquetFile(file).iter_batches(batch_size=256):
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    yield {key: value for key, value in row.items() if value is not None}
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{short_name(path)}: not a Parquet file ({error})") from error


def origin_file(out: Path) -> Path:
    """Where it stands what a file of verdicts was made from."""
    return out.with_name(out.name + ".meta.json")


def read_origin(out: Path) -> dict[str, Any]:
    """What a file of verdicts was made from; {} where nobody wrote it down."""
    try:
        found = json.loads(read_bytes(origin_file(out)))
    except ValueError:  # InputError is one: there is no such file
        return {}
    return found if isinstance(found, dict) else {}


def pairs_hash(pairs: Path) -> str:
    """SHA-256 of a file of pairs, or of all files of a data set's folder."""
    if not is_folder(pairs):
        with opened(pairs) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    listed = [f"{one.name} {file_hash(one)}" for one in sorted(pairs.iterdir())]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def join(verdicts: Path, pairs: Path) -> Iterator[tuple[Row, PairRow | None]]:
    """Every verdict with the pair that it judges; None where the file has none or changed it since.

    The very file that was judged is joined row by row. Any other (labels added, rows changed) is
    joined by pair_id where that is given and stands once in both files, else by place and content;
    a pair whose content is not what was judged is no match. Embedded images are left out of the
    pairs then.

    Raises InputError where no verdict belongs to a row of `pairs`.
    """
    if _is_same_file(verdicts, pairs):
        for row, pair in zip(read_verdicts(verdicts), read_pairs(pairs), strict=False):
            yield row, pair if isinstance(pair, PairRow) else None
        return
    places = _Places(pairs)
    judged = [(row["pair_id"], row.get(CONTENT)) for row in read_verdicts(verdicts)]
    partners = places.partners(judged, read_origin(verdicts).get("pairs_sha256") is not None)
    if judged and not any(place is not None for place in partners):
        raise InputError(
            f"{short_name(pairs)}: another file than the one that {short_name(verdicts)} was made "
            "from; none of its rows was judged there"
        )
    for row, place in zip(read_verdicts(verdicts), partners, strict=False):
        yield row, None if place is None else places.rows[place]


def _is_same_file(verdicts: Path, pairs: Path) -> bool:
    """Whether the verdicts were made from this very file, row by row."""
    if read_origin(verdicts).get("pairs_sha256") != pairs_hash(pairs):
        return False
    together = zip(read_verdicts(verdicts), read_pairs(pairs), strict=False)
    return all(row["pair_id"] == pair.pair_id for row, pair in together)


class _Places:
    """The rows of a file of pairs, found by id or by content."""

    def __init__(self, pairs: Path) -> None:
        self.rows: list[PairRow | None] = []
        self.contents: list[str | None] = []  # None: an image cannot be read, so it is not known
        self.ids: dict[str, list[int]] = {}  # of ids that the file gives
        for place, row in enumerate(read_pairs(pairs)):
            if isinstance(row, RowError):
                self.rows.append(None)
                self.contents.append(None)
                continue
            known = MISSING not in row.image_hashes()
            self.contents.append(row.content() if known else None)
            self.rows.append(row.model_copy(update={"bytes_a": None, "bytes_b": None}))
            if not row.id_is_made_up:
                self.ids.setdefault(row.pair_id, []).append(place)

    def partners(
        self, judged: Sequence[tuple[str, str | None]], origin_is_known: bool
    ) -> list[int | None]:
        """The place of each verdict's pair, given its (pair_id, content)."""
        count = Counter(pair_id for pair_id, _ in judged)
        by_content: dict[str, list[int]] = {}
        for place, content in enumerate(self.contents):
            if content is not None:
                by_content.setdefault(content, []).append(place)
        found: list[int | None] = []
        for number, (pair_id, content) in enumerate(judged):
            places = self.ids.get(pair_id, [])
            made_up = pair_id == f"row-{number + 1}"
            if len(places) == 1 and count[pair_id] == 1:
                own = self.contents[places[0]]
                changed = own is not None and content is not None and own != content
                found.append(None if changed else places[0])
            elif content is not None and (places or made_up):
                alike = by_content.get(content, [])
                alike = [place for place in alike if made_up or place in places]
                found.append(number if number in alike else alike[0] if len(alike) == 1 else None)
            else:  # written before verdicts knew their content: by place, where nothing speaks
                row = self.rows[number] if number < len(self.rows) else None
                same = row is not None and row.pair_id == pair_id and not origin_is_known
                found.append(number if same else None)
        return found
