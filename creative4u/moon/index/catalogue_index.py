"""A shop's or a metadata file's items in, a folder that search answers from with pictures out.

    FOLDER/vectors.faiss, ids.json, config.json   the index (`moon.index`)
    FOLDER/items.jsonl                            item_id, title, image (its path)

The index alone knows ids; who shows neighbours to people needs their titles and pictures too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from creative4u.errors import InputError
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.baselines import Embeds
from creative4u.moon.index.faiss_index import Array, Hit, Index, IndexConfig, load_index
from creative4u.moon.index.sharded_index import NAMES, ShardedIndex, load_sharded, sharded

CARDS = "items.jsonl"


@dataclass(frozen=True)
class Card:
    """What is shown of one item; `image` may be gone from the disk by now."""

    item_id: str
    title: str
    image: Path | None


@dataclass(frozen=True)
class Neighbour:
    """One catalogue item near what was asked, with its cosine."""

    card: Card
    score: float


class Shelf:
    """An index and the cards of its items."""

    def __init__(
        self, index: Index | ShardedIndex, cards: Mapping[str, Card] | None = None
    ) -> None:
        self.index = index
        self.cards: dict[str, Card] = dict(cards or {})

    def __len__(self) -> int:
        return len(self.index)

    def add(self, items: Sequence[Item], encoder: Embeds) -> int:
        """Put in the items that are not there yet; returns how many."""
        known = self.index.known([item.item_id for item in items])
        fresh = [item for item, there in zip(items, known, strict=True) if not there]
        if not fresh:
            return 0
        vectors = encoder.encode([item.content for item in fresh])
        self.index.add([item.item_id for item in fresh], vectors)
        for item in fresh:
            image = item.images[0].resolve() if item.images else None
            self.cards[item.item_id] = Card(item.item_id, item.title, image)
        return len(fresh)

    def near(self, vectors: Array, k: int = 6) -> list[list[Neighbour]]:
        """The k nearest items of each row (Q, dim), the nearest first."""
        return [[self._shown(hit) for hit in hits] for hits in self.index.search(vectors, k)]

    def _shown(self, hit: Hit) -> Neighbour:
        card = self.cards.get(hit.item_id, Card(hit.item_id, hit.item_id, None))
        return Neighbour(card, hit.score)

    def save(self, folder: Path) -> Path:
        """Write index and cards."""
        self.index.save(folder)
        lines = [
            json.dumps(
                {"item_id": c.item_id, "title": c.title, "image": str(c.image) if c.image else None}
            )
            for c in self.cards.values()
        ]
        part = folder / f"{CARDS}.part"
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        part.replace(folder / CARDS)
        return folder


def open_shelf(
    folder: Path, config: IndexConfig | None = None, shards: int = 1, ray: str | None = None
) -> Shelf:
    """The shelf in `folder`; an empty one of `config` where nothing is and a config is given.

    `shards` counts for an empty one; `ray` is the address of the cluster that holds the shards.
    Raises InputError where there is no index (and no config) or its cards are broken.
    """
    if config is not None and not folder.exists():
        return Shelf(sharded(config, shards, ray) if shards > 1 or ray else Index(config))
    index = load_sharded(folder, ray) if (folder / NAMES).is_file() else load_index(folder)
    cards: dict[str, Card] = {}
    file = folder / CARDS
    for number, line in enumerate(file.read_text("utf-8").splitlines() if file.is_file() else []):
        try:
            row = json.loads(line)
            image = Path(row["image"]) if row["image"] else None
            cards[str(row["item_id"])] = Card(str(row["item_id"]), str(row["title"]), image)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}:{number + 1}: not a card ({error})") from error
    return Shelf(index, cards)
