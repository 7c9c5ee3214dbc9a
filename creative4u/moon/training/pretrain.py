"""Pre-train an encoder on images with names: MOON's first stage.

    creative4u moon pretrain --pictures DIR --worlds DIR --out runs/moon/pretrain

`pictures` are folders with a metadata.jsonl (`python -m data.images.named_images`), `worlds` are
shops. Image + prompt -> title, attributes, main subject (MOON, arXiv 2511.11305), as a contrast:
the vector of image and prompt must find the vector of its answer in the batch (our choice: this
encoder has no decoder). ConSE distils into it: over every image, the student's similarities to a
set of words follow the teacher's (KL divergence).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from creative4u.errors import InputError
from creative4u.moon.augment.views import rule_writer
from creative4u.moon.augment.virtual_images import VirtualImages, shop_title
from creative4u.moon.catalogue.items import Item, read_items, read_world, validation_cut
from creative4u.moon.encoder.baselines import FrozenBaseline
from creative4u.moon.encoder.content import CachedFeatures, Content
from creative4u.moon.encoder.encoder import RESIDUAL, Encoder, EncoderConfig, load_encoder
from creative4u.moon.encoder.experts import load_balance
from creative4u.moon.encoder.feature_store import CLASSES, FeatureStore
from creative4u.moon.encoder.frozen_features import FeaturesBackbone
from creative4u.moon.encoder.matryoshka import matryoshka
from creative4u.moon.losses.alignment import cross_modal
from creative4u.moon.training.loop import TrainConfig, train

PROMPTS = {
    "title": "the product's title",
    "attributes": "the product's attributes",
    "subject": "the main subject",
}


@dataclass(frozen=True)
class PretrainConfig(TrainConfig):
    """Settings of pre-training; at least one folder of images or shop is needed."""

    out: str = "runs/moon/pretrain"
    pictures: tuple[str, ...] = ()  # folders of named images
    worlds: tuple[str, ...] = ()  # shops
    start: str = ""  # an encoder's file; a new encoder by default
    features: str = "runs/moon/features"
    encoder: EncoderConfig = RESIDUAL
    validation: bool = False  # leave out the validation cut, to choose settings
    temperature: float = 0.05
    distil: float = 1.0  # weight of the teacher's loss
    distil_temperature: float = 0.05
    joint: float = 0.3  # weight of the loss of image and title together against the title
    prompted: float = 0.3  # weight of the prompts' loss
    words: int = 256  # words that teacher and student are compared on
    rho: float = 0.01  # load balance
    images: int = 4  # of an item, at most
    virtual: int = 32  # virtual images in a batch, beside `batch`
    forms: int = 2  # titles written for each item
    noise: float = 0.1  # relative, on frozen features; replaces image augmentation


@dataclass(frozen=True)
class NamedImage:
    """One image, its item, and the number of its name."""

    content: Content
    item: Item
    key: int


def training_images(config: PretrainConfig) -> list[NamedImage]:
    """The training images of all folders; names of a shop's test items are left out everywhere.

    A picture folder's own split holds out more. Raises InputError if nothing is left.
    """
    items: list[Item] = []
    for folder in config.worlds:
        items += read_world(Path(folder))
    excluded = {item.name for item in items if item.split == "test"}
    if config.validation:
        items = validation_cut(items)
        excluded |= {item.name for item in items if item.split == "test"}
    items += read_named_images(config.pictures, excluded)
    kept = [item for item in items if item.split != "test"]
    if not kept:
        raise InputError("no training image; give --pictures DIR or --worlds DIR")
    keys = {name: number for number, name in enumerate(dict.fromkeys(i.name for i in kept))}
    return [
        NamedImage(Content(image=image), item, keys[item.name])
        for item in kept
        for image in item.images[: config.images]
    ]


def read_named_images(folders: Sequence[str], excluded: Set[str]) -> list[Item]:
    """The items of folders of named images, without those whose name is in `excluded`."""
    found: list[Item] = []
    for folder in folders:
        found += read_items(Path(folder) / "metadata.jsonl")
    return [item for item in found if item.name not in excluded]


def target_text(item: Item, prompt: str, form: int) -> str:
    """The answer to `prompt` for `item`; `form` selects one of several wordings."""
    rng = np.random.default_rng([form, *item.item_id.encode()])
    if prompt == "attributes" and item.attributes:
        return ", ".join(item.attributes)
    if prompt != "title":
        return item.name or item.title
    return rule_writer(item, rng) if item.attributes else shop_title(item.name, rng)


def with_noise(batch: Mapping[str, Tensor], noise: float) -> dict[str, Tensor]:
    """Multiply a batch's frozen image features by noise around 1, at least 0."""
    if noise <= 0 or "image" not in batch:
        return dict(batch)
    factor = (1 + noise * torch.randn_like(batch["image"])).clamp_min(0)
    return dict(batch) | {"image": batch["image"] * factor}


class Pretraining:
    """The training step of this stage."""

    def __init__(self, encoder: Encoder, config: PretrainConfig, store: FeatureStore) -> None:
        self.encoder, self.config = encoder, config
        self.images = training_images(config)
        self.named = [row for row, one in enumerate(self.images) if one.item.name]
        self.teacher = FrozenBaseline("conse", store)
        self.words = list(dict.fromkeys(one.item.name for one in self.images if one.item.name))
        self.teacher_images = self.teacher.encode([one.content for one in self.images])  # (N, 384)
        self.teacher_words = self.teacher.encode([Content(word) for word in self.words])  # (W, 384)
        self.virtual = VirtualImages() if config.virtual else None
        if isinstance(encoder.backbone, FeaturesBackbone):  # embed all texts once
            known = [one.item for one in self.images] + [self.of_class(c) for c in self.classes]
            store.texts([target_text(x, p, f) for x in known for p in PROMPTS for f in self.forms])

    @property
    def classes(self) -> range:
        return range(CLASSES if self.virtual else 0)

    @property
    def forms(self) -> range:
        return range(self.config.forms)

    def of_class(self, one: int) -> Item:
        """The item that a virtual image of a class shows."""
        assert self.virtual is not None
        name = self.virtual.names[one].split(",")[0]
        return Item(f"class-{one}", name, name=name)

    def draw(self, rng: np.random.Generator) -> list[NamedImage]:
        """Draw named images, and virtual ones beside them."""
        count = min(self.config.batch, len(self.named))
        some = [self.images[int(row)] for row in rng.choice(self.named, count, replace=False)]
        if self.virtual is None:
            return some
        classes = rng.choice(CLASSES, self.config.virtual, replace=False).tolist()
        rows = self.virtual.draw(classes, rng)
        for one, row in zip(classes, rows, strict=True):
            key = len(self.images) + one
            some.append(NamedImage(Content(image=CachedFeatures(row)), self.of_class(one), key))
        return some

    def __call__(self, step: int, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Draw a batch; returns its loss and figures."""
        config = self.config
        some = self.draw(rng)
        keys = torch.tensor([one.key for one in some], device=self.encoder.head.weight.device)
        prompt = str(rng.choice(list(PROMPTS)))
        forms = rng.integers(0, config.forms, len(some)).tolist()
        titles = [
            Content(target_text(x.item, "title", f)) for x, f in zip(some, forms, strict=True)
        ]
        prompted_images = [Content(PROMPTS[prompt], one.content.image) for one in some]
        answers = [
            Content(target_text(x.item, prompt, f)) for x, f in zip(some, forms, strict=True)
        ]
        images = [one.content for one in some]
        both = [Content(x.text, y.image) for x, y in zip(titles, images, strict=True)]
        image, text, item, prompt_vector, reply = self.vectors(
            [images, titles, both, prompted_images, answers]
        )
        named = self.contrast(image, text, keys)
        joint = self.contrast(item, text, keys)
        prompted = cross_modal(prompt_vector, reply, keys, config.temperature).mean()
        distilled = self.distillation(rng) if config.distil else torch.zeros(())
        balance = load_balance(self.gates)
        loss = named + config.joint * joint + config.prompted * prompted
        loss = loss + config.distil * distilled + config.rho * balance
        figures = {"named": named, "joint": joint, "prompted": prompted, "taught": distilled}
        return loss, {name: float(value.detach()) for name, value in figures.items()}

    def vectors(self, groups: Sequence[Sequence[Content]]) -> list[Tensor]:
        """Encode all groups in one pass; returns the vectors of each."""
        batch = self.encoder.backbone.collate([one for group in groups for one in group])
        device = self.encoder.head.weight.device
        moved = {name: tensor.to(device) for name, tensor in batch.items()}
        encoded = self.encoder(with_noise(moved, self.config.noise))
        self.gates = encoded.gates
        return list(encoded.vectors.split([len(group) for group in groups]))

    def contrast(self, one: Tensor, other: Tensor, keys: Tensor) -> Tensor:
        """The symmetric InfoNCE of two sets of vectors, averaged over all Matryoshka dims."""
        dims = self.encoder.config.dims
        losses = [
            cross_modal(x, y, keys, self.config.temperature).mean()
            for x, y in zip(matryoshka(one, dims), matryoshka(other, dims), strict=True)
        ]
        return torch.stack(losses).mean()

    def distillation(self, rng: np.random.Generator) -> Tensor:
        """KL divergence of the student's distribution over words from the teacher's."""
        config = self.config
        rows = rng.choice(len(self.images), min(config.batch, len(self.images)), replace=False)
        columns = rng.choice(len(self.words), min(config.words, len(self.words)), replace=False)
        images = [self.images[int(row)].content for row in rows]
        words = [Content(self.words[int(column)]) for column in columns]
        image, word = self.vectors([images, words])
        teacher = torch.from_numpy(
            self.teacher_images[rows] @ self.teacher_words[columns].T
        )  # (B, W)
        student = image @ word.T
        return nn.functional.kl_div(
            (student / config.distil_temperature).log_softmax(dim=1),
            (teacher.to(student) / config.distil_temperature).softmax(dim=1),
            reduction="batchmean",
        )


def main(config: PretrainConfig, stop_after: int | None = None) -> Path:
    """Run the stage; returns the encoder's file."""
    accelerator = Accelerator()
    store = FeatureStore(Path(config.features)) if config.features else FeatureStore()
    torch.manual_seed(config.seed)
    encoder = (
        load_encoder(Path(config.start), store)
        if config.start
        else Encoder(config.encoder, store).start_from(
            [one.content for one in training_images(config)]
        )
    )
    encoder.to(accelerator.device)
    stage = Pretraining(encoder, config, store)
    return train(encoder, stage, config, accelerator, stop_after=stop_after)
