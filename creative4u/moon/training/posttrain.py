"""Post-train an encoder on a shop's purchases: MOON's second stage, in two steps.

    creative4u moon posttrain --world DIR --start runs/moon/pretrain/encoder.safetensors

Step one: in-batch negatives over the nine query and item modality pairs. Step two: hard negatives,
the spatial-temporal queue, least similar positives, SKU merging, re-balanced categories, circle
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
from creative4u.moon.augment.views import enrich_titles, rule_writer
from creative4u.moon.catalogue.behaviour import read_behaviour
from creative4u.moon.catalogue.items import read_world, validation_cut
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder
from creative4u.moon.encoder.experts import MODALITIES, load_balance
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.encoder.matryoshka import matryoshka
from creative4u.moon.losses import filtering
from creative4u.moon.losses.alignment import inter_product, intra_product
from creative4u.moon.losses.circle import circle_loss
from creative4u.moon.losses.guided_experts import GUIDES, GuidedHeads
from creative4u.moon.losses.infonce import info_nce
from creative4u.moon.training.hard_negatives import HardSampling
from creative4u.moon.training.initial_encoder import initial_encoder
from creative4u.moon.training.loop import train
from creative4u.moon.training.negative_queue import NegativeQueue, gather_rows
from creative4u.moon.training.posttrain_config import PosttrainConfig
from creative4u.moon.training.pretrain import with_noise
from creative4u.moon.training.triplets import Triplet, Triplets


@dataclass(frozen=True)
class Vectors:
    """A batch's unit vectors (B, D) by role and modality (t, i, mm), and the experts' outputs."""

    query: tuple[Tensor, Tensor, Tensor]
    positive: tuple[Tensor, Tensor, Tensor]
    negative: tuple[Tensor, Tensor, Tensor]
    gates: Tensor  # (9 B, Z), in the order query, positive, negative by t, i, mm
    guides: Tensor  # (9 B, guided, W) in the same order


class Posttraining:
    """The training step of this stage; steps below `first_steps` are step one."""

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
        self.hard_sampling = HardSampling(len(triplets.pairs), len(triplets.items), config.hard)
        self.guides = (
            GuidedHeads(triplets.items, encoder.backbone.width).to(accelerator.device)
            if encoder.config.experts and encoder.config.guided == GUIDES
            else None
        )
        self.sampling_hard = False

    @property
    def extra(self) -> nn.ModuleDict:
        """What is trained or checkpointed beside the encoder."""
        parts: dict[str, nn.Module] = {"queue": self.queue, "hard_sampling": self.hard_sampling}
        return nn.ModuleDict(parts | ({"guides": self.guides} if self.guides else {}))

    def __call__(self, step: int, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Draw a batch, encode it, return its loss and figures."""
        second = step >= self.config.first_steps
        if second and not self.sampling_hard:
            self.start_hard_sampling()
        batch = self.triplets.draw(self.config.batch, rng)
        vectors = self.encode(batch, rng)
        keys = torch.tensor([one.key for one in batch], device=vectors.gates.device)
        negative_keys = torch.tensor([one.negative_key for one in batch], device=keys.device)
        if not second:
            loss, figures = self.nine_pairs(vectors, keys)
            return loss + self.guided(vectors, batch), figures
        progress = (step - self.config.first_steps) / max(
            1, self.config.steps - self.config.first_steps
        )
        loss, figures = self.triplet_loss(vectors, keys, negative_keys, progress)
        return loss + self.guided(vectors, batch), figures

    def guided(self, vectors: Vectors, batch: Sequence[Triplet]) -> Tensor:
        """The guided experts' loss on the positives' mm rows; 0 without guided experts."""
        if self.guides is None:
            return vectors.gates.new_zeros(())
        rows = vectors.guides[5 * len(batch) : 6 * len(batch)]
        loss: Tensor = self.guides(rows, [one.positive for one in batch])
        return self.config.guide * loss

    def start_hard_sampling(self) -> None:
        """Select hard negatives and least similar positives with the encoder as it is now.

        Done once, when step two begins; a resumed run takes the selection from its checkpoint.
        """
        config, triplets = self.config, self.triplets
        if not self.hard_sampling.done:
            queries = self.encoder.encode([Content(text) for text in triplets.behaviour.queries])
            items = self.encoder.encode([item.content for item in triplets.items])
            self.encoder.train()
            kept, hard = triplets.select_hard(queries, items, config.hard, config.least_similar)
            self.hard_sampling.kept.copy_(torch.from_numpy(kept))
            self.hard_sampling.hard.copy_(torch.from_numpy(hard))
            self.hard_sampling.done.fill_(True)
        triplets.start_hard_sampling(
            self.hard_sampling.kept.numpy(), self.hard_sampling.hard.numpy()
        )
        self.sampling_hard = True

    def encode(self, batch: Sequence[Triplet], rng: np.random.Generator) -> Vectors:
        """Encode all nine contents of each triplet in one pass."""
        positives = [one.positive.content for one in batch]
        negatives = [one.negative.content for one in batch]
        if self.config.augment:
            positives = self.with_enriched_titles(batch, rng)
        groups = [
            [getattr(content, part) if part else content for content in role]
            for role in ([one.query for one in batch], positives, negatives)
            for part in ("only_text", "only_image", "")
        ]
        collated = self.encoder.backbone.collate([one for group in groups for one in group])
        device = self.encoder.head.weight.device
        moved = {name: tensor.to(device) for name, tensor in collated.items()}
        encoded = self.encoder(with_noise(moved, self.config.noise))
        q_t, q_i, q_mm, p_t, p_i, p_mm, n_t, n_i, n_mm = encoded.vectors.split(len(batch))
        return Vectors(
            (q_t, q_i, q_mm), (p_t, p_i, p_mm), (n_t, n_i, n_mm), encoded.gates, encoded.guides
        )

    def with_enriched_titles(
        self, batch: Sequence[Triplet], rng: np.random.Generator
    ) -> list[Content]:
        """The positives with enriched titles, where the current encoder finds these consistent."""
        items = [one.positive for one in batch]

        def encode(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
            return self.encoder.encode([Content(text) for text in texts])

        titles = enrich_titles(items, rule_writer, encode, rng)
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
        candidates = gather_rows(positive, self.accelerator)
        everyone = gather_rows(keys, self.accelerator)
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
        new = gather_rows(vectors.negative[2], self.accelerator)
        new_keys = gather_rows(negative_keys, self.accelerator)
        old, old_keys = self.queue.negatives()
        pool, pool_keys = torch.cat([new, old]), torch.cat([new_keys, old_keys])
        if not config.not_clicked:
            pool, pool_keys = old, old_keys
        weight = self.sample_weights(vectors, progress)
        modalities = range(len(MODALITIES)) if config.alignment else (2,)
        losses = [
            self.contrast(vectors.query[one], target, keys, pool, pool_keys) for one in modalities
        ]
        if config.alignment:
            omega = self.omega(vectors.gates, len(keys))
            inter = inter_product(losses, omega, weight)
            intra = self.intra(vectors, weight)
        else:
            inter, intra = (losses[0] * weight).mean(), target.new_zeros(())
        ring = self.circle(vectors, keys, pool, pool_keys, weight)
        balance = load_balance(vectors.gates)
        sparse = self.encoder.alignment.sparsity()
        loss = inter + intra + config.circle * ring + config.rho * balance + config.sigma * sparse
        self.queue.push(gather_rows(target, self.accelerator), gather_rows(keys, self.accelerator))
        figures = {"inter": inter, "intra": intra, "circle": ring, "kept": weight.mean()}
        return loss, {name: float(value.detach()) for name, value in figures.items()}

    def sample_weights(self, vectors: Vectors, progress: float) -> Tensor:
        """Weights (B,) of dynamic sample filtering, from the query's mm vector."""
        query, good, bad = vectors.query[2], vectors.positive[2], vectors.negative[2]
        if not self.config.filter:
            return query.new_ones(len(query))
        near, far = (query * good).sum(1), (query * bad).sum(1)
        return filtering.weights(near, far, progress, self.config.margins)

    def omega(self, gates: Tensor, batch: int) -> Tensor:
        """The objectives' weights omega (3,) from the gates of the query rows."""
        modality = torch.arange(len(MODALITIES), device=gates.device).repeat_interleave(batch)
        result: Tensor = self.encoder.alignment.omega(gates[: 3 * batch], modality)
        return result

    def intra(self, vectors: Vectors, weight: Tensor) -> Tensor:
        """Intra-product loss: each item's image against its own text and the other item's."""
        (p_t, p_i, _), (n_t, n_i, _) = vectors.positive, vectors.negative
        temperature = self.config.temperature
        both = intra_product(p_i, p_t, n_t, temperature) + intra_product(n_i, n_t, p_t, temperature)
        return (both / 2 * weight).mean()

    def circle(
        self, vectors: Vectors, keys: Tensor, pool: Tensor, pool_keys: Tensor, weight: Tensor
    ) -> Tensor:
        """Circle loss of the query's t and mm vectors against the same negatives."""
        near = torch.stack(
            [(vectors.query[2] * p).sum(1) for p in vectors.positive], dim=1
        )  # (B, 3)
        far = vectors.query[2] @ pool.T
        far = far.masked_fill(pool_keys[None] == keys[:, None], float("-inf"))
        return (circle_loss(near, far) * weight).mean()


def main(config: PosttrainConfig, stop_after: int | None = None) -> Path:
    """Run the stage; returns the encoder's file."""
    accelerator = Accelerator()
    store = FeatureStore(Path(config.features)) if config.features else FeatureStore()
    items, images = read_world(Path(config.world)), config.images
    if config.validation:
        items = validation_cut(items)
    if config.views and config.augment:
        items, images = with_views(items, Path(config.views), images)
    encoder = initial_encoder(config, store, items).to(accelerator.device)
    behaviour = read_behaviour(
        Path(config.world),
        len(items),
        min_purchases=config.min_purchases,
        min_purchase_share=config.min_purchase_share,
    )
    triplets = Triplets(items, behaviour, images, config.rebalance)
    stage = Posttraining(encoder, config, triplets, accelerator)
    return train(encoder, stage, config, accelerator, stage.extra, stop_after)
