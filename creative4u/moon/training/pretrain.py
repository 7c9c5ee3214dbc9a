"""Pictures with names in, an encoder that knows things out: MOON's first stage.

    creative4u moon pretrain pictures=DIR worlds=DIR out=runs/moon/pretrain

Pictures are a folder with a metadata.jsonl (`python -m data.images.named_images` makes one),
worlds are shops. Image + prompt -> title, attributes, main subject (MOON, arXiv 2511.11305),
as a contrast: the vector of image and prompt must find the vector of its own answer among
the batch's (our choice: the practical encoder has no decoder). Beside it the ConSE bridge teaches:
over every image, named or not, the student's similarities to a set of words follow the
teacher's (KL divergence).
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
from creative4u.moon.augment.virtual_images import VirtualPictures, dressed
from creative4u.moon.catalogue.items import Item, read_items, read_world, validation_cut
from creative4u.moon.encoder.baselines import Frozen
from creative4u.moon.encoder.content import Content, Looked
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
    """What is learnt from; `pictures` and `worlds` are folders, separated by commas."""

    out: str = "runs/moon/pretrain"
    pictures: str = ""
    worlds: str = ""
    start: str = ""  # an encoder's file; a fresh one by default
    features: str = "runs/moon/features"
    encoder: EncoderConfig = RESIDUAL
    validation: bool = False  # without the validation cut's things: for choosing
    temperature: float = 0.05
    distil: float = 1.0  # the teacher's weight
    distil_temperature: float = 0.05
    joint: float = 0.3  # the weight of image and title together against the title
    prompted: float = 0.3  # the prompts' weight
    words: int = 256  # how many words teacher and student are compared on
    rho: float = 0.01  # load balance
    images: int = 4  # the first images of an item that are learnt from
    virtual: int = 32  # virtual pictures of the classifier's classes in a batch, beside `batch`
    forms: int = 2  # titles written for each thing
    noise: float = 0.1  # of the frozen features, relative; stands in for image augmentation


@dataclass(frozen=True)
class Picture:
    """One image and what is known of it."""

    content: Content
    item: Item
    key: int


def pictures(config: PretrainConfig) -> list[Picture]:
    """The training pictures of all folders; test things of a shop stay out, whoever drew them.

    A picture folder's own split says what is held out there. Raises InputError.
    """
    items: list[Item] = []
    for folder in filter(None, config.worlds.split(",")):
        items += read_world(Path(folder))
    away = {item.name for item in items if item.split == "test"}
    if config.validation:
        items = validation_cut(items)
        away |= {item.name for item in items if item.split == "test"}
    items += named(config.pictures, away)
    kept = [item for item in items if item.split != "test"]
    if not kept:
        raise InputError("nothing to learn from: give pictures=DIR or worlds=DIR")
    keys = {name: number for number, name in enumerate(dict.fromkeys(i.name for i in kept))}
    return [
        Picture(Content(image=image), item, keys[item.name])
        for item in kept
        for image in item.images[: config.images]
    ]


def named(folders: str, away: Set[str]) -> list[Item]:
    """The items of picture folders, separated by commas, but for those with a name in `away`."""
    found: list[Item] = []
    for folder in filter(None, folders.split(",")):
        found += read_items(Path(folder) / "metadata.jsonl")
    return [item for item in found if item.name not in away]


def answer(item: Item, prompt: str, form: int) -> str:
    """What the prompt asks of the item; `form` chooses between several ways to say it."""
    random = np.random.default_rng([form, *item.item_id.encode()])
    if prompt == "attributes" and item.attributes:
        return ", ".join(item.attributes)
    if prompt != "title":
        return item.name or item.title
    return rule_writer(item, random) if item.attributes else dressed(item.name, random)


def shaken(batch: Mapping[str, Tensor], noise: float) -> dict[str, Tensor]:
    """A collated batch with its frozen features shaken, where it has any; no sign changes."""
    if noise <= 0 or "image" not in batch:
        return dict(batch)
    factor = (1 + noise * torch.randn_like(batch["image"])).clamp_min(0)
    return dict(batch) | {"image": batch["image"] * factor}


class Pretraining:
    """The step of this stage."""

    def __init__(self, encoder: Encoder, config: PretrainConfig, store: FeatureStore) -> None:
        self.encoder, self.config = encoder, config
        self.all = pictures(config)
        self.named = [row for row, one in enumerate(self.all) if one.item.name]
        self.teacher = Frozen("conse", store)
        self.words = list(dict.fromkeys(one.item.name for one in self.all if one.item.name))
        self.taught = self.teacher.encode([one.content for one in self.all])  # (N, 384)
        self.said = self.teacher.encode([Content(word) for word in self.words])  # (W, 384)
        self.pictures = VirtualPictures() if config.virtual else None
        if isinstance(encoder.backbone, FeaturesBackbone):  # read all that will be told, once
            things = [one.item for one in self.all] + [self.of_class(c) for c in self.classes]
            store.texts([answer(x, p, f) for x in things for p in PROMPTS for f in self.forms])

    @property
    def classes(self) -> range:
        return range(CLASSES if self.pictures else 0)

    @property
    def forms(self) -> range:
        return range(self.config.forms)

    def of_class(self, one: int) -> Item:
        """The item that a virtual picture shows."""
        assert self.pictures is not None
        name = self.pictures.names[one].split(",")[0]
        return Item(f"class-{one}", name, name=name)

    def draw(self, random: np.random.Generator) -> list[Picture]:
        """Named pictures, and virtual ones beside them."""
        count = min(self.config.batch, len(self.named))
        some = [self.all[int(row)] for row in random.choice(self.named, count, replace=False)]
        if self.pictures is None:
            return some
        classes = random.choice(CLASSES, self.config.virtual, replace=False).tolist()
        rows = self.pictures.draw(classes, random)
        for one, row in zip(classes, rows, strict=True):
            key = len(self.all) + one
            some.append(Picture(Content(image=Looked(row)), self.of_class(one), key))
        return some

    def __call__(
        self, step: int, random: np.random.Generator
    ) -> tuple[Tensor, Mapping[str, float]]:
        """One batch: names, prompts, teacher, balance."""
        config = self.config
        some = self.draw(random)
        keys = torch.tensor([one.key for one in some], device=self.encoder.head.weight.device)
        prompt = str(random.choice(list(PROMPTS)))
        forms = random.integers(0, config.forms, len(some)).tolist()
        told = [Content(answer(x.item, "title", f)) for x, f in zip(some, forms, strict=True)]
        asked = [Content(PROMPTS[prompt], one.content.image) for one in some]
        answers = [Content(answer(x.item, prompt, f)) for x, f in zip(some, forms, strict=True)]
        images = [one.content for one in some]
        both = [Content(x.text, y.image) for x, y in zip(told, images, strict=True)]
        image, text, item, ask, reply = self.vectors([images, told, both, asked, answers])
        named = self.contrast(image, text, keys)
        joint = self.contrast(item, text, keys)
        prompted = cross_modal(ask, reply, keys, config.temperature).mean()
        taught = self.distillation(random) if config.distil else torch.zeros(())
        balance = load_balance(self.gates)
        loss = named + config.joint * joint + config.prompted * prompted
        loss = loss + config.distil * taught + config.rho * balance
        said = {"named": named, "joint": joint, "prompted": prompted, "taught": taught}
        return loss, {name: float(value.detach()) for name, value in said.items()}

    def vectors(self, groups: Sequence[Sequence[Content]]) -> list[Tensor]:
        """Each group's vectors, encoded in one pass."""
        batch = self.encoder.backbone.collate([one for group in groups for one in group])
        device = self.encoder.head.weight.device
        moved = {name: tensor.to(device) for name, tensor in batch.items()}
        encoded = self.encoder(shaken(moved, self.config.noise))
        self.gates = encoded.gates
        return list(encoded.vectors.split([len(group) for group in groups]))

    def contrast(self, one: Tensor, other: Tensor, keys: Tensor) -> Tensor:
        """The symmetric contrast of two sets of vectors, averaged over all dimensions."""
        dims = self.encoder.config.dims
        losses = [
            cross_modal(x, y, keys, self.config.temperature).mean()
            for x, y in zip(matryoshka(one, dims), matryoshka(other, dims), strict=True)
        ]
        return torch.stack(losses).mean()

    def distillation(self, random: np.random.Generator) -> Tensor:
        """KL of the student's shares over words from the teacher's, for any images at hand."""
        config = self.config
        rows = random.choice(len(self.all), min(config.batch, len(self.all)), replace=False)
        columns = random.choice(len(self.words), min(config.words, len(self.words)), replace=False)
        images = [self.all[int(row)].content for row in rows]
        words = [Content(self.words[int(column)]) for column in columns]
        image, word = self.vectors([images, words])
        teacher = torch.from_numpy(self.taught[rows] @ self.said[columns].T)  # (B, W)
        student = image @ word.T
        return nn.functional.kl_div(
            (student / config.distil_temperature).log_softmax(dim=1),
            (teacher.to(student) / config.distil_temperature).softmax(dim=1),
            reduction="batchmean",
        )


def main(config: PretrainConfig, stop_after: int | None = None) -> Path:
    """Load, train, save; returns the encoder's file."""
    accelerator = Accelerator()
    store = FeatureStore(Path(config.features)) if config.features else FeatureStore()
    torch.manual_seed(config.seed)
    encoder = (
        load_encoder(Path(config.start), store)
        if config.start
        else Encoder(config.encoder, store).start_from([one.content for one in pictures(config)])
    )
    encoder.to(accelerator.device)
    stage = Pretraining(encoder, config, store)
    return train(encoder, stage, config, accelerator, stop_after=stop_after)
