"""Predict click logits from ids, behaviour, the visual feature, CUBE and the debiasing network.

logit = (MLP + line)([ids, crosses, numbers, ID interest, look, CUBE]) + bias[position]. The look is
the debiased visual feature g(z) at the width of the ids, and crossed with query and shopper too.
The position stands outside of both (our choice), so that scoring can put every creative at
position 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.log.fields import ROLES, UNSEEN, Fields
from creative4u.ctr.model.cube import Cube, IdInterest
from creative4u.ctr.model.debias import DebiasNetwork

ID_DROPOUT = 0.05  # with images; 0.15 cost the known ones 0.001 in AUC
FIRST_SPREAD = 1e-4  # of the ids' vectors: at 0.05 chance outweighed the first hundreds of steps
POSITION_SCALE = 20.0  # a step of Adam moves a bare bias by the learning rate, whatever it lacks


@dataclass(frozen=True)
class ModelConfig:
    """What the model is made of; `vocabulary` holds each id field's size, in the fields' order."""

    names: tuple[str, ...]
    vocabulary: tuple[int, ...]
    widths: tuple[int, ...]
    numbers: int
    positions: int
    behaviour: int
    visual: int = 0  # width of the visual embedding; 0: none
    multimodal: int = 0  # width of the multimodal embedding; 0: no CUBE
    debias: bool = False
    hidden: tuple[int, ...] = (128, 64)
    id_dropout: float = 0.0  # share of training rows that lose an id, so that its absence is known

    @classmethod
    def of(
        cls,
        fields: Fields,
        sizes: dict[str, int],
        visual: int = 0,
        multimodal: int = 0,
        debias: bool = False,
    ) -> ModelConfig:
        """The model for a fields file and its vocabularies' sizes."""
        return cls(
            names=tuple(one.name for one in fields.ids),
            vocabulary=tuple(sizes[one.name] for one in fields.ids),
            widths=tuple(one.width for one in fields.ids),
            numbers=len(fields.numbers),
            positions=fields.positions,
            behaviour=fields.behaviour,
            visual=visual,
            multimodal=multimodal,
            debias=debias,
            id_dropout=ID_DROPOUT if visual or multimodal else 0.0,  # else nothing could stand in
        )


class CTRModel(nn.Module):
    """The online CTR model. Its embedding tables of images are buffers: they are not trained.

    `visual` (V, Dv) and `multimodal` (V, Dr) are indexed by creative number, `query` (Q, Dr) by
    query number; row 0 and rows of creatives without an image are zeros. `shown[name]` (V,) counts
    training impressions; an id never shown in training falls into the unseen bucket.
    """

    visual: Tensor
    multimodal: Tensor
    query: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        tables = [
            nn.Embedding(size, width)
            for size, width in zip(config.vocabulary, config.widths, strict=True)
        ]
        for table in tables:
            nn.init.normal_(table.weight, std=FIRST_SPREAD)
        self.embeddings = nn.ModuleList(tables)
        self.place = {name: config.names.index(name) for name in ROLES}
        width = {name: config.widths[place] for name, place in self.place.items()}
        creatives, queries = (config.vocabulary[self.place[name]] for name in ("creative", "query"))
        for name, size in zip(config.names, config.vocabulary, strict=True):
            self.register_buffer(f"shown_{name}", torch.zeros(size, dtype=torch.long))
        self.register_buffer("visual", torch.zeros(creatives, config.visual))
        self.register_buffer("multimodal", torch.zeros(creatives, config.multimodal))
        self.register_buffer("query", torch.zeros(queries, config.multimodal))
        self.crosses = width["user"] == width["query"] == width["item"] == width["creative"]
        total = sum(config.widths) + config.numbers + (3 * width["item"] if self.crosses else 0)
        self.interest = IdInterest(width["item"]) if config.behaviour else None
        total += width["item"] if config.behaviour else 0
        self.debias = DebiasNetwork(config.visual) if config.debias and config.visual else None
        self.look = nn.Linear(config.visual, width["item"]) if config.visual else None
        total += (3 if self.crosses else 1) * width["item"] + 1 if config.visual else 0
        self.cube = Cube() if config.multimodal and config.behaviour else None
        if self.cube is not None:
            total += 3 * config.multimodal + width["item"] + config.behaviour + 1
        self.line = nn.Linear(total, 1, bias=False)  # past the tower: what each feature says alone
        nn.init.zeros_(self.line.weight)
        layers: list[nn.Module] = []
        for size in config.hidden:
            layers += [nn.Linear(total, size), nn.ReLU()]
            total = size
        self.tower = nn.Sequential(*layers, nn.Linear(total, 1))
        for layer in self.tower:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)
        self.position = nn.Embedding(config.positions + 1, 1)
        nn.init.zeros_(self.position.weight)

    def forward(self, batch: Batch) -> Tensor:
        """(B,) logits. In training, `id_dropout` of the rows lose user or creative and item ids."""
        seen = self.describe(batch)
        logits = (self.tower(seen) + self.line(seen))[:, 0]
        biased: Tensor = logits + POSITION_SCALE * self.position(batch.position)[:, 0]
        return biased

    def describe(self, batch: Batch) -> Tensor:
        """(B, total): what the tower sees of each impression."""
        ids = self._known(batch.ids)
        if self.training and self.config.id_dropout:
            ids = self._dropped(ids)
        places = range(len(self.embeddings))
        tables = [self.get_parameter(f"embeddings.{place}.weight") for place in places]
        each = [_rows(table, ids[:, column]) for column, table in enumerate(tables)]
        parts = [*each, batch.numbers]
        user, query, item, creative = (each[self.place[name]] for name in ROLES)
        if self.crosses:
            parts += [user * item, query * item, query * creative]
        number = batch.ids[:, self.place["creative"]]
        if self.interest is not None:
            past = batch.behaviour  # (B, K, 2)
            sequence = _rows(tables[self.place["item"]], past[:, :, 0])  # (B, K, E)
            there = past[:, :, 0] != UNSEEN
            parts.append(self.interest(item, sequence, there))
            if self.cube is not None:
                target, asked = self.multimodal[number], self.query[self._number(batch, "query")]
                rows = self.multimodal[past[:, :, 1]]  # (B, K, Dr)
                seen = there & (rows != 0).any(dim=-1)
                parts += [*self.cube(target, rows, sequence, seen, asked), target, asked]
        if self.look is not None:
            z = self.visual[number]
            has_image = torch.linalg.vector_norm(z, dim=-1, keepdim=True) > 0
            look = self.look(self.adjusted(z)) * has_image  # (B, E)
            parts += [look, has_image.float()]
            if self.crosses:
                parts += [query * look, user * look]
        return torch.cat(parts, dim=1)

    def adjusted(self, z: Tensor) -> Tensor:
        """(..., Dv) visual features, debiased where the model has S3's network."""
        return z if self.debias is None else self.debias(z)

    def _dropped(self, ids: Tensor) -> Tensor:
        """Rows of unknown shoppers, of new creatives, and half of these of new items."""
        user, creative = torch.rand(2, len(ids)) < self.config.id_dropout
        item = creative & (torch.rand(len(ids)) < 0.5)
        gone = torch.zeros_like(ids, dtype=torch.bool)
        for name, rows in (("user", user), ("creative", creative), ("item", item)):
            gone[:, self.place[name]] = rows
        return ids.masked_fill(gone, UNSEEN)

    def _number(self, batch: Batch, name: str) -> Tensor:
        return batch.ids[:, self.place[name]]

    def _known(self, ids: Tensor) -> Tensor:
        columns = [
            torch.where(
                self.get_buffer(f"shown_{name}")[ids[:, column]] > 0, ids[:, column], UNSEEN
            )
            for column, name in enumerate(self.config.names)
        ]
        return torch.stack(columns, dim=1)


def _rows(table: Tensor, ids: Tensor) -> Tensor:
    """table[ids]; its gradient takes two thirds of an nn.Embedding's time, in an order that does
    not hang on the threads (table[ids] itself would be faster still, but for that)."""
    return table.index_select(0, ids.flatten()).view(*ids.shape, table.shape[1])
