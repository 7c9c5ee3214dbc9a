"""Define what one image is known to show; read and write facts.jsonl.

Only worlds that are rendered here have such a file. It says what can be seen and nothing of clicks:
reasoning is written from it and checked against it.
"""

from __future__ import annotations

import json
from pathlib import Path

from creative4u.errors import InputError
from creative4u.files.json_rows import strict_rows
from creative4u.schema import Record

FACTS = "facts.jsonl"
DEGREES = ("size", "whole", "text", "cover", "clutter", "dark", "blur", "props", "frame",
           "stand_out")


class Text(Record):
    """One text on a creative: its words, its role (point, price, call) and where it stands."""

    words: str
    role: str
    legible: bool = True
    over: bool = False  # over the subject


class Facts(Record):
    """One image's facts; the degrees run from 0 to 1 and mean what `observations` says."""

    image: str  # relative to the image folder
    size: float
    whole: float
    text: float
    cover: float
    clutter: float
    dark: float
    blur: float
    props: float
    frame: float
    stand_out: float
    product: str  # the noun of the product that is advertised
    shown: str  # the noun of the product that is seen
    backdrop: str = ""
    texts: tuple[Text, ...] = ()
    intents: tuple[str, ...] = ()  # the interests that its words and scene speak to

    @property
    def wrong(self) -> bool:
        """It shows another product than the one advertised."""
        return self.shown != self.product

    @property
    def points(self) -> tuple[Text, ...]:
        """Legible texts that say something of the product or its price."""
        return tuple(text for text in self.texts if text.legible and text.role != "call")

    def degrees(self) -> dict[str, float]:
        """The ten degrees by name."""
        return {name: getattr(self, name) for name in DEGREES}


def read_facts(images: Path) -> dict[str, Facts]:
    """image -> facts; raises InputError where the folder has none."""
    path = images / FACTS
    if not path.is_file():
        raise InputError(f"{images} has no {FACTS}; only rendered worlds have grounded reasoning")
    try:
        rows = [Facts.model_validate(row) for row in strict_rows(path)]
    except ValueError as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"{path}: not the facts of images ({why})") from error
    return {row.image: row for row in rows}


def write_facts(rows: list[Facts], images: Path) -> None:
    """Write `images`/facts.jsonl, a row an image."""
    (images / FACTS).write_text(
        "".join(json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in rows), "utf-8")
