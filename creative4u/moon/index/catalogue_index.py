"""Search a catalogue by vector and show results with titles and images.

FOLDER/vectors.faiss, ids.json, config.json   the index (`faiss_index`)
FOLDER/items.jsonl                            item_id, title, image (its path)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from creative4u.errors import InputError
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.baselines import Embedder
from creative4u.moon.index.faiss_index import Array, Hit, Index, IndexConfig, load_index
from creative4u.moon.index.sharded_index import (
    SHARDS_FILE,
    ShardedIndex,
    load_sharded_index,
    new_sharded_index,
)

CARDS_FILE = "items.jsonl"


@dataclass(frozen=True)
class ItemCard:
    """What to show of one item; `image` may have been deleted since."""

    item_id: str
    title: str
    image: Path | None


@dataclass(frozen=True)
class Neighbour:
    """One catalogue item and its cosine with the query."""

    card: ItemCard
    score: float


class CatalogueIndex:
    """An index and the cards of its items."""

    def __init__(
        self, index: Index | ShardedIndex, cards: Mapping[str, ItemCard] | None = None
    ) -> None:
        self.index = index
        self.cards: dict[str, ItemCard] = dict(cards or {})

    def __len__(self) -> int:
        return len(self.index)

    def add(self, items: Sequence[Item], encoder: Embedder) -> int:
        """Embed and add the items that are not indexed yet; returns how many."""
        known = self.index.contains([item.item_id for item in items])
        fresh = [item for item, there in zip(items, known, strict=True) if not there]
        if not fresh:
            return 0
        vectors = encoder.encode([item.content for item in fresh])
        self.index.add([item.item_id for item in fresh], vectors)
        for item in fresh:
            image = item.images[0].resolve() if item.images else None
            self.cards[item.item_id] = ItemCard(item.item_id, item.title, image)
        return len(fresh)

    def nearest(self, vectors: Array, k: int = 6) -> list[list[Neighbour]]:
        """The k nearest items of each row (Q, dim), nearest first."""
        return [[self._neighbour(hit) for hit in hits] for hits in self.index.search(vectors, k)]

    def _neighbour(self, hit: Hit) -> Neighbour:
        card = self.cards.get(hit.item_id, ItemCard(hit.item_id, hit.item_id, None))
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
        part = folder / f"{CARDS_FILE}.part"
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        part.replace(folder / CARDS_FILE)
        return folder


def open_catalogue(
    folder: Path, config: IndexConfig | None = None, shards: int = 1, ray: str | None = None
) -> CatalogueIndex:
    """Open the catalogue in `folder`, or an empty one if there is none and a config is given.

    `shards` is the number of shards of an empty one; `ray` is the address of the cluster for the
    shards. Raises InputError without an index (and config) or for broken cards.
    """
    if config is not None and not folder.exists():
        return CatalogueIndex(
            new_sharded_index(config, shards, ray) if shards > 1 or ray else Index(config)
        )
    index = (
        load_sharded_index(folder, ray) if (folder / SHARDS_FILE).is_file() else load_index(folder)
    )
    cards: dict[str, ItemCard] = {}
    file = folder / CARDS_FILE
    for number, line in enumerate(file.read_text("utf-8").splitlines() if file.is_file() else []):
        try:
            row = json.loads(line)
            image = Path(row["image"]) if row["image"] else None
            cards[str(row["item_id"])] = ItemCard(str(row["item_id"]), str(row["title"]), image)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}:{number + 1}: no item card ({error})") from error
    return CatalogueIndex(index, cards)
