"""Behaviour in, an encoder that retrieves what is bought out: MOON's second stage, in two steps.

    creative4u moon posttrain world=DIR start=runs/moon/pretrain/encoder.safetensors

Step one: in-batch negatives over the nine query and item modality pairs. Step two: hard negatives,
the spatial-temporal queue, lowest-similarity positives, SKU merging, categories re-balanced, circle
loss; dual-level alignment and dynamic filtering: L = L_inter + L_intra + rho L_aux + sigma
L_sparsity (arXiv 2511.11305, arXiv 2511.12449). The ablations are fields of the config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from creative4u.moon.augment.build import with_views
from creative4u.moon.augment.views import enriched, rule_writer
from creative4u.moon.catalogue.behaviour import read_behaviour
from creative4u.moon.catalogue.items import Item, read_world, validation_cut
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder, load_encoder
from creative4u.moon.encoder.experts import MODALITIES, load_balance
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.encoder.matryoshka import matryoshka
from creative4u.moon.losses import filtering
from creative4u.moon.losses.alignment import inter_product, intra_product
from creative4u.moon.losses.circle import circle_loss
from creative4u.moon.losses.guided_experts import GUIDES, GuidedHeads
from creative4u.moon.losses.infonce import info_nce
from creative4u.moon.training.loop import train
from creative4u.moon.training.negative_queue import NegativeQueue, gathered
from creative4u.moon.training.posttrain_config import PosttrainConfig
from creative4u.moon.training.pretrain import named, shaken
from creative4u.moon.training.text_alignment import fit_meaning
from creative4u.moon.training.triplets import Triplet, Triplets
from creative4u.moon.training.visual_head import fit_looks


class Chosen(nn.Module):
    """Step two's sampling as buffers, so that it is part of a checkpoint."""

    kept: Tensor
    hard: Tensor
    done: Tensor

    def __init__(self, pairs: int, items: int, hard: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(pairs, dtype=torch.long))
        self.register_buffer("hard", torch.full((items, hard), -1))
        self.register_buffer("done", torch.tensor(False))


@dataclass(frozen=True)
class Vectors:
    """A batch's unit vectors (B, D) by role and modality, and the gates of the queries' rows."""

    query: tuple[Tensor, Tensor, Tensor]
    positive: tuple[Tensor, Tensor, Tensor]
    negative: tuple[Tensor, Tensor, Tensor]
    gates: Tensor  # (9 B, Z), in the order query, positive, negative by t, i, mm
    guides: Tensor  # (9 B, guided, W) in the same order


class Posttraining:
    """The step of this stage; step numbers below `first_steps` are step one."""

    def __init__(
        self,
        encoder: Encoder,
        config: PosttrainConfig,
        triplets: Triplets,
        accelerator: Accelerator,
    ) -> None:
        self.encoder, self.config, self.triplets = encoder, config, triplets
        self.accelerator = accelerator
        self.queue = NegativeQueue(config.queue, encoder.config.dim).to(accelerator.device)
        self.chosen = Chosen(len(triplets.pairs), len(triplets.items), config.hard)
        self.guides = (
            GuidedHeads(triplets.items, encoder.backbone.width).to(accelerator.device)
            if encoder.config.experts and encoder.config.guided == GUIDES
            else None
        )
        self.narrowed = False

    @property
    def extra(self) -> nn.ModuleDict:
        """What is trained and remembered beside the encoder."""
        parts: dict[str, nn.Module] = {"queue": self.queue, "chosen": self.chosen}
        return nn.ModuleDict(parts | ({"guides": self.guides} if self.guides else {}))

    def __call__(
        self, step: int, random: np.random.Generator
    ) -> tuple[Tensor, Mapping[str, float]]:
        """Draw, encode, lose."""
        second = step >= self.config.first_steps
        if second and not self.narrowed:
            self.narrow()
        batch = self.triplets.draw(self.config.batch, random)
        vectors = self.encode(batch, random)
        keys = torch.tensor([one.key for one in batch], device=vectors.gates.device)
        negative_keys = torch.tensor([one.negative_key for one in batch], device=keys.device)
        if not second:
            loss, said = self.nine_pairs(vectors, keys)
            return loss + self.guided(vectors, batch), said
        progress = (step - self.config.first_steps) / max(
            1, self.config.steps - self.config.first_steps
        )
        loss, said = self.triplet_loss(vectors, keys, negative_keys, progress)
        return loss + self.guided(vectors, batch), said

    def guided(self, vectors: Vectors, batch: Sequence[Triplet]) -> Tensor:
        """The guided experts' loss on the positives' mm rows; 0 without such experts."""
        if self.guides is None:
            return vectors.gates.new_zeros(())
        rows = vectors.guides[5 * len(batch) : 6 * len(batch)]
        loss: Tensor = self.guides(rows, [one.positive for one in batch])
        return self.config.guide * loss

    def narrow(self) -> None:
        """Choose hard negatives and the least similar positives by the encoder as it is now.

        Chosen once, where step two begins; a resumed run takes the choice from its checkpoint.
        """
        config, triplets = self.config, self.triplets
        if not self.chosen.done:
            queries = self.encoder.encode([Content(text) for text in triplets.behaviour.queries])
            items = self.encoder.encode([item.content for item in triplets.items])
            self.encoder.train()
            kept, hard = triplets.choose(queries, items, config.hard, config.least_similar)
            self.chosen.kept.copy_(torch.from_numpy(kept))
            self.chosen.hard.copy_(torch.from_numpy(hard))
            self.chosen.done.fill_(True)
        triplets.narrow(self.chosen.kept.numpy(), self.chosen.hard.numpy())
        self.narrowed = True

    def encode(self, batch: Sequence[Triplet], random: np.random.Generator) -> Vectors:
        """All nine vectors of each triplet in one pass."""
        positives = [one.positive.content for one in batch]
        negatives = [one.negative.content for one in batch]
        if self.config.augment:
            positives = self.told_anew(batch, random)
        groups = [
            [getattr(content, part) if part else content for content in role]
            for role in ([one.query for one in batch], positives, negatives)
            for part in ("only_text", "only_image", "")
        ]
        collated = self.encoder.backbone.collate([one for group in groups for one in group])
        device = self.encoder.head.weight.device
        moved = {name: tensor.to(device) for name, tensor in collated.items()}
        encoded = self.encoder(shaken(moved, self.config.noise))
        q_t, q_i, q_mm, p_t, p_i, p_mm, n_t, n_i, n_mm = encoded.vectors.split(len(batch))
        return Vectors(
            (q_t, q_i, q_mm), (p_t, p_i, p_mm), (n_t, n_i, n_mm), encoded.gates, encoded.guides
        )

    def told_anew(self, batch: Sequence[Triplet], random: np.random.Generator) -> list[Content]:
        """The positives under enriched titles that the current encoder finds consistent."""
        items = [one.positive for one in batch]

        def encode(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
            return self.encoder.encode([Content(text) for text in texts])

        titles = enriched(items, rule_writer, encode, random)
        self.encoder.train()
        return [Content(title, item.images[0]) for title, item in zip(titles, items, strict=True)]

    def nine_pairs(self, vectors: Vectors, keys: Tensor) -> tuple[Tensor, Mapping[str, float]]:
        """Step one: the mean of InfoNCE over t, i, mm of the query by t, i, mm of the item."""
        losses = [
            self.contrast(query, positive, keys).mean()
            for query in vectors.query
            for positive in vectors.positive
        ]
        loss = torch.stack(losses).mean() + self.config.rho * load_balance(vectors.gates)
        return loss, {"nine_pairs": float(loss.detach())}

    def contrast(
        self,
        query: Tensor,
        positive: Tensor,
        keys: Tensor,
        negatives: Tensor | None = None,
        negative_keys: Tensor | None = None,
    ) -> Tensor:
        """(B,) InfoNCE against all processes' items and further negatives, over all dims."""
        candidates = gathered(positive, self.accelerator)
        everyone = gathered(keys, self.accelerator)
        start = self.accelerator.process_index * len(query)
        own = torch.arange(start, start + len(query), device=query.device)
        dims = self.encoder.config.dims
        more = [None] * len(dims) if negatives is None else matryoshka(negatives, dims)
        losses = [
            info_nce(q, c, n, self.config.temperature, everyone, negative_keys, own)
            for q, c, n in zip(
                matryoshka(query, dims), matryoshka(candidates, dims), more, strict=True
            )
        ]
        return torch.stack(losses).mean(0)

    def triplet_loss(
        self, vectors: Vectors, keys: Tensor, negative_keys: Tensor, progress: float
    ) -> tuple[Tensor, Mapping[str, float]]:
        """Step two's loss."""
        config, target = self.config, vectors.positive[2]
        bad = gathered(vectors.negative[2], self.accelerator)
        bad_keys = gathered(negative_keys, self.accelerator)
        old, old_keys = self.queue.negatives()
        pool, pool_keys = torch.cat([bad, old]), torch.cat([bad_keys, old_keys])
        if not config.passed:
            pool, pool_keys = old, old_keys
        kept = self.trust(vectors, progress)
        asked = range(len(MODALITIES)) if config.alignment else (2,)
        losses = [self.contrast(vectors.query[one], target, keys, pool, pool_keys) for one in asked]
        if config.alignment:
            omega = self.omega(vectors.gates, len(keys))
            inter = inter_product(losses, omega, kept)
            intra = self.intra(vectors, kept)
        else:
            inter, intra = (losses[0] * kept).mean(), target.new_zeros(())
        ring = self.circle(vectors, keys, pool, pool_keys, kept)
        balance = load_balance(vectors.gates)
        sparse = self.encoder.alignment.sparsity()
        loss = inter + intra + config.circle * ring + config.rho * balance + config.sigma * sparse
        self.queue.push(gathered(target, self.accelerator), gathered(keys, self.accelerator))
        said = {"inter": inter, "intra": intra, "circle": ring, "kept": kept.mean()}
        return loss, {name: float(value.detach()) for name, value in said.items()}

    def trust(self, vectors: Vectors, progress: float) -> Tensor:
        """(B,) weights of dynamic sample filtering, by the query's mm vector."""
        query, good, bad = vectors.query[2], vectors.positive[2], vectors.negative[2]
        if not self.config.filter:
            return query.new_ones(len(query))
        near, far = (query * good).sum(1), (query * bad).sum(1)
        return filtering.weights(near, far, progress, self.config.margins)

    def omega(self, gates: Tensor, batch: int) -> Tensor:
        """The objectives' weights from the gates of the query rows: B of t, of i, of mm."""
        modality = torch.arange(len(MODALITIES), device=gates.device).repeat_interleave(batch)
        result: Tensor = self.encoder.alignment.omega(gates[: 3 * batch], modality)
        return result

    def intra(self, vectors: Vectors, kept: Tensor) -> Tensor:
        """The positive's and the negative's image, each against its own and the other's text."""
        (p_t, p_i, _), (n_t, n_i, _) = vectors.positive, vectors.negative
        temperature = self.config.temperature
        both = intra_product(p_i, p_t, n_t, temperature) + intra_product(n_i, n_t, p_t, temperature)
        return (both / 2 * kept).mean()

    def circle(
        self, vectors: Vectors, keys: Tensor, pool: Tensor, pool_keys: Tensor, kept: Tensor
    ) -> Tensor:
        """Circle loss of the query's t and mm vectors against the same negatives."""
        near = torch.stack(
            [(vectors.query[2] * p).sum(1) for p in vectors.positive], dim=1
        )  # (B, 3)
        far = vectors.query[2] @ pool.T
        far = far.masked_fill(pool_keys[None] == keys[:, None], float("-inf"))
        return (circle_loss(near, far) * kept).mean()


def starting(config: PosttrainConfig, store: FeatureStore, items: Sequence[Item]) -> Encoder:
    """The encoder that post-training begins with; a fresh one sees the training images first."""
    if config.start == "conse":
        torch.manual_seed(config.seed)
        learnt = [item for item in items if item.split == "train"]
        shown = [Content(image=one) for item in learnt for one in item.images[: config.images]]
        fresh = Encoder(config.encoder, store).start_from(shown)
        away = {item.name for item in items if item.split != "train"}
        pictures = [one for one in named(config.pictures, away) if one.split != "test"]
        fit_meaning(fresh, [*learnt, *pictures], config.images, config.meaning)
        return fit_looks(fresh, items, config.looks)
    return load_encoder(Path(config.start) if config.start else None, store)


def main(config: PosttrainConfig, stop_after: int | None = None) -> Path:
    """Load, train, save; returns the encoder's file."""
    accelerator = Accelerator()
    store = FeatureStore(Path(config.features)) if config.features else FeatureStore()
    items, images = read_world(Path(config.world)), config.images
    if config.validation:
        items = validation_cut(items)
    if config.views and config.augment:
        items, images = with_views(items, Path(config.views), images)
    encoder = starting(config, store, items).to(accelerator.device)
    behaviour = read_behaviour(
        Path(config.world),
        len(items),
        least_bought=config.least_bought,
        bought_share=config.bought_share,
    )
    triplets = Triplets(items, behaviour, images, config.rebalance)
    stage = Posttraining(encoder, config, triplets, accelerator)
    return train(encoder, stage, config, accelerator, stage.extra, stop_after)
