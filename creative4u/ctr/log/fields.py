"""Read the declared features and map ids to numbers; unseen ids share one bucket.

One JSON file says what a log's columns are called and which of them the model reads; a log with
other column names needs another file, nothing else; `fields.json` beside this module is the
world's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creative4u.errors import InputError

Ints = NDArray[np.int64]
ROLES = ("user", "query", "item", "creative")  # id fields that every fields file must declare
UNSEEN = 0  # the bucket of ids that training did not show


@dataclass(frozen=True)
class IdField:
    """One column of ids; `width` is its embedding's size."""

    name: str
    column: str
    width: int


@dataclass(frozen=True)
class NumberField:
    """One column of numbers; `log` takes ln(1 + x) of it first. Missing numbers become the mean."""

    name: str
    column: str
    log: bool = False


@dataclass(frozen=True)
class Fields:
    """What the model reads from a log. `behaviour` is how many past clicks of the user it sees."""

    label: str
    day: str
    position: str | None
    positions: int
    ids: tuple[IdField, ...]
    numbers: tuple[NumberField, ...]
    behaviour: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the log must have."""
        names = [self.label, self.day, *(one.column for one in self.ids)]
        names += [one.column for one in self.numbers]
        return tuple(dict.fromkeys([*names, *([self.position] if self.position else [])]))

    def place(self, name: str) -> int:
        """The index of an id field among `ids`."""
        return [one.name for one in self.ids].index(name)


def read_fields(path: Path | None = None) -> Fields:
    """Read a fields file (the world's by default); raises InputError naming what is wrong."""
    source = path if path is not None else files("creative4u.ctr").joinpath("fields.json")
    try:
        return parse_fields(json.loads(source.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path or 'fields.json'}: {error}") from error


def parse_fields(table: Mapping[str, Any]) -> Fields:
    """The JSON object as Fields; raises ValueError naming what is missing or unknown."""
    known = {"label", "day", "position", "positions", "ids", "numbers", "behaviour"}
    if unknown := set(table) - known:
        raise ValueError(f"unknown keys {sorted(unknown)}; known are {sorted(known)}")
    try:
        fields = Fields(
            label=str(table["label"]),
            day=str(table["day"]),
            position=table.get("position"),
            positions=int(table.get("positions", 10)),
            ids=tuple(IdField(**row) for row in table["ids"]),
            numbers=tuple(NumberField(**row) for row in table.get("numbers", ())),
            behaviour=int(table.get("behaviour", 0)),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"missing or unknown entry: {error}") from error
    if missing := set(ROLES) - {one.name for one in fields.ids}:
        raise ValueError(f"id fields named {sorted(missing)} are missing; needed are {ROLES}")
    return fields


@dataclass
class Counts:
    """What was met on the way, for the report: nothing bad goes by in silence."""

    rows: int = 0
    unlabelled: int = 0
    broken_parts: int = 0
    missing_images: int = 0
    missing_numbers: int = 0
    unseen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """Known ids, sorted (V,), as integers or as strings; the id at place k has the number k + 1."""

    ids: NDArray[Any]

    @classmethod
    def of(cls, values: Iterable[Any]) -> Vocabulary:
        """From ids in any order: integers where all of them are integers, else strings."""
        known = [value for value in values if value is not None]
        if not all(isinstance(value, int | np.integer) for value in known):
            known = [str(value) for value in known]
        return cls(np.unique(np.array(known))) if known else cls(np.empty(0, np.int64))

    @property
    def size(self) -> int:
        """The numbers in use, the unseen bucket included."""
        return len(self.ids) + 1

    def numbers(self, values: NDArray[Any]) -> Ints:
        """(n,) ids to (n,) numbers, UNSEEN where training did not show the id."""
        if not len(self.ids):
            return np.zeros(len(values), np.int64)
        if self.ids.dtype.kind in "iu" and values.dtype.kind not in "iu":
            return np.array([self._one(value) for value in values], np.int64).reshape(-1)
        asked = values if self.ids.dtype.kind in "iu" else values.astype(str)
        place = np.searchsorted(self.ids, asked).clip(0, len(self.ids) - 1)
        return np.where(self.ids[place] == asked, place + 1, UNSEEN)

    def _one(self, value: Any) -> int:
        try:
            return int(self.numbers(np.array([int(value)]))[0])
        except (TypeError, ValueError):
            return UNSEEN
