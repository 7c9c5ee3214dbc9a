"""Training on a drawn shop: it learns, it resumes, and what it saves is what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from fake_store import FakeStore
from torch import nn

from creative4u.errors import InputError
from creative4u.moon.catalogue.behaviour import Behaviour
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder, EncoderConfig, load_encoder
from creative4u.moon.encoder.frozen_features import FeaturesBackbone
from creative4u.moon.losses.filtering import FilterConfig
from creative4u.moon.losses.guided_experts import GuidedHeads
from creative4u.moon.training.loop import TrainConfig, rate_at, train
from creative4u.moon.training.posttrain import Posttraining
from creative4u.moon.training.posttrain_config import PosttrainConfig
from creative4u.moon.training.triplets import Triplets
from creative4u.moon.training.weight_interpolation import blend

THINGS = ("boot", "lamp", "drum", "sofa", "kite", "ring")


def shop() -> list[Item]:
    return [
        Item(
            item_id=f"p{n}",
            title=f"Avelo {colour} {thing}",
            category="things" if n % 2 else "goods",
            images=(Path(f"{thing}/{n}-0.jpg"), Path(f"{thing}/{n}-1.jpg")),
            name=thing,
            colour=colour,
            brand=f"brand{n}",
            split="train",
        )
        for n, (thing, colour) in enumerate((t, c) for t in THINGS for c in ("red", "blue"))
    ]


def behaviour(items: list[Item]) -> Behaviour:
    pairs = [(THINGS.index(item.name), row) for row, item in enumerate(items)]
    passed = {q: tuple(r for r, i in enumerate(items) if i.name != t)[:4]
              for q, t in enumerate(THINGS)}  # fmt: skip
    return Behaviour(
        queries=tuple(f"cheap {thing}" for thing in THINGS),
        bought=np.array(pairs),
        purchases=np.ones(len(pairs), np.int64),
        not_clicked=passed,
        exposure=np.full(len(items), 10),
    )


def small() -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(layers=1, dim=32, dims=(16, 32), experts=3, rank=2)
    encoder = Encoder(config, FakeStore())
    nn.init.normal_(encoder.backbone.dino.weight, std=0.05)
    return encoder


def stage(encoder: Encoder, config: PosttrainConfig) -> Posttraining:
    items = shop()
    triplets = Triplets(items, behaviour(items), config.images)
    return Posttraining(encoder, config, triplets, Accelerator(cpu=True))


def run(config: PosttrainConfig, stop_after: int | None = None) -> Path:
    encoder = small()
    part = stage(encoder, config)
    return train(encoder, part, config, Accelerator(cpu=True), part.extra, stop_after)


def config(tmp_path: Path) -> PosttrainConfig:
    return PosttrainConfig(
        out=str(tmp_path / "whole"), steps=6, first_steps=2, batch=5, queue=12, hard=2,
        checkpoint_steps=2, log_steps=3, warmup=1, rate=1e-3,
        margins=FilterConfig(margin_start=1.0),  # strict, so that filtering shows
    )  # fmt: skip


def test_a_killed_run_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole = config(tmp_path)
    cut = replace(whole, out=str(tmp_path / "cut"))
    first = load_encoder(run(whole), FakeStore()).state_dict()
    run(cut, stop_after=4)  # inside step two: the choice of hard negatives is in the checkpoint
    second = load_encoder(run(cut), FakeStore()).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_what_is_bought(tmp_path: Path) -> None:
    settings = replace(config(tmp_path), steps=30, first_steps=15, batch=12)
    before, after = small(), load_encoder(run(settings), FakeStore())
    asked = [Content(f"cheap {thing}") for thing in THINGS]
    shown = [item.content for item in shop()]

    def margin(encoder: Encoder) -> float:
        scores = encoder.encode(asked) @ encoder.encode(shown).T  # (6, 12)
        own = np.kron(np.eye(len(THINGS)), np.ones(2)) > 0
        return float(scores[own].mean() - scores[~own].mean())

    assert margin(after) > margin(before) + 0.1


@pytest.mark.parametrize(
    "change",
    [{"alignment": False}, {"filter": False}, {"augment": False}, {"queue": 0}, {"circle": 0.0}],
)
def test_every_ablation_runs_and_changes_the_outcome(tmp_path: Path, change: dict) -> None:
    settings = replace(config(tmp_path), steps=3, first_steps=1)
    whole = load_encoder(run(settings), FakeStore()).state_dict()
    without = replace(settings, out=str(tmp_path / "without"), **change)
    other = load_encoder(run(without), FakeStore()).state_dict()
    assert not all(torch.equal(whole[name], other[name]) for name in whole)


def test_guided_experts_learn_category_and_attributes() -> None:
    items = [
        Item("a", "boot", "shoes", attributes=("leather",)),
        Item("b", "lamp", "home", attributes=()),
    ]
    heads = GuidedHeads(items, 2)
    with torch.no_grad():
        heads.category.weight.copy_(torch.tensor([[0.0, 2.0], [2.0, 0.0]]))  # home, shoes
        heads.attribute.weight.copy_(torch.tensor([[3.0, 0.0]]))  # leather
        for part in (heads.category, heads.attribute):
            part.bias.zero_()
    guides = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    # category logits (0, 2) for both: right for a, wrong for b; attribute logits 3 (yes), 0 (no)
    category = (np.log1p(np.exp(-2)) + np.log1p(np.exp(2))) / 2
    attribute = (np.log1p(np.exp(-3)) + np.log(2)) / 2
    assert heads(guides, items).item() == pytest.approx(category + attribute, abs=1e-6)


def test_saved_is_loaded_and_a_batch_of_one_is_a_batch_of_many(tmp_path: Path) -> None:
    encoder = small()
    contents = [item.content for item in shop()] + [Content("a kite"), shop()[0].content.only_image]
    vectors = encoder.encode(contents)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(contents)), abs=1e-5)
    one_by_one = np.concatenate([encoder.encode([content]) for content in contents])
    assert one_by_one == pytest.approx(vectors, abs=1e-5)
    loaded = load_encoder(encoder.save(tmp_path / "e.safetensors"), FakeStore())
    assert loaded.config == encoder.config
    assert np.array_equal(loaded.encode(contents), vectors)
    half = load_encoder(encoder.save(tmp_path / "h.safetensors", half=True), FakeStore())
    assert (half.encode(contents) * vectors).sum(1) == pytest.approx(np.ones(14), abs=1e-3)


def test_a_blend_goes_from_the_start_to_the_trained_encoder() -> None:
    trained = Encoder(EncoderConfig(layers=1, experts=2, rank=2), FakeStore())
    torch.manual_seed(3)
    trained.start()
    for name, value in trained.named_parameters():
        if "norm" not in name:
            value.data += 0.02 * torch.randn_like(value)
    asked = [item.content for item in shop()] + [Content("a kite")]
    start = Encoder(trained.config, FakeStore()).start().encode(asked)
    assert np.allclose(blend(trained, 1.0).encode(asked), trained.encode(asked), atol=1e-6)
    assert np.allclose(blend(trained, 0.0).encode(asked), start, atol=1e-5)
    half = blend(trained, 0.5).encode(asked)
    assert np.allclose(half, blend(trained, 0.5).encode(asked), atol=1e-6)  # nothing is drawn
    near = [(half * end).sum(1).mean() for end in (start, trained.encode(asked))]
    assert min(near) > (start * trained.encode(asked)).sum(1).mean()
    with pytest.raises(InputError, match="0 to 1"):
        blend(trained, 1.5)


def test_a_blend_with_a_start_that_is_given_mixes_all_weights() -> None:
    config = EncoderConfig(layers=1, experts=2, rank=2)
    start, trained = Encoder(config, FakeStore()), Encoder(config, FakeStore())
    mixed = blend(trained, 0.25, start).state_dict()
    for name, value in start.state_dict().items():
        assert torch.allclose(mixed[name], 0.75 * value + 0.25 * trained.state_dict()[name])
    other = Encoder(EncoderConfig(layers=1, experts=3, rank=2), FakeStore())
    with pytest.raises(InputError, match="different settings"):
        blend(trained, 0.25, other)


def test_matryoshka_is_the_first_dimensions_normalised_anew() -> None:
    encoder = small()
    whole = encoder.encode([Content("a kite")])[0]
    first = encoder.encode([Content("a kite")], 16)[0]
    assert first == pytest.approx(whole[:16] / np.linalg.norm(whole[:16]), abs=1e-5)
    with pytest.raises(InputError, match="dim"):
        encoder.encode([Content("a kite")], 33)


def test_nothing_to_embed_and_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to embed"):
        Content()
    with pytest.raises(InputError, match="no encoder"):
        load_encoder(tmp_path / "none.safetensors")


def test_rate_warms_up_and_falls_to_a_tenth() -> None:
    settings = TrainConfig(steps=110, warmup=10, rate=1.0)
    assert [rate_at(step, settings) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert rate_at(60, settings) == pytest.approx(0.55)
    assert rate_at(110, settings) == pytest.approx(0.1)


def test_an_image_and_a_title_weigh_the_same_however_many_tokens() -> None:
    backbone = FeaturesBackbone(layers=0)
    hidden = torch.zeros(3, 5, backbone.width)
    hidden[:, :4, 0], hidden[:, 4, 1] = 3.0, 2.0
    mask = torch.tensor([[True] * 5, [True] * 4 + [False], [False] * 4 + [True]])
    found = backbone.pooled(hidden, mask)[:, :2].tolist()
    assert found == [[1, 1], [1, 0], [0, 1]]
