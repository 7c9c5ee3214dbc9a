"""ConSE and DINOv2 side by side: what the start is, what training may move, what it may see."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_store import FakeStore
from safetensors.torch import save_file

from creative4u.errors import InputError
from creative4u.moon.catalogue.items import Item, split_of, validation_cut
from creative4u.moon.encoder.baselines import FrozenBaseline
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import RESIDUAL, Encoder, EncoderConfig, load_encoder
from creative4u.moon.encoder.frozen_features import SHARES
from creative4u.moon.training.loop import TrainConfig, _groups
from creative4u.moon.training.pretrain import PretrainConfig, training_images
from creative4u.moon.training.visual_head import (
    VisualHeadConfig,
    fit_visual_head,
    supervised_contrast,
)

IMAGES = [Content(image=Path(f"{thing}/{n}.jpg")) for thing in ("boot", "lamp") for n in range(3)]
TEXTS = [Content("a red boot"), Content("a lamp")]


def fresh() -> Encoder:
    torch.manual_seed(1)
    return Encoder(replace(RESIDUAL, layers=1, experts=2, rank=2), FakeStore()).start()


def moved() -> Encoder:
    encoder = fresh()
    for value in encoder.parameters():
        if value.requires_grad:
            value.data += 0.05 * torch.randn_like(value)
    return encoder


def test_it_begins_as_sentences_and_looks_side_by_side() -> None:
    encoder = fresh()
    looks = encoder.encode(IMAGES)[:, 384:]
    dino = FrozenBaseline("dino", FakeStore()).encode(IMAGES)
    centred = dino - dino.mean(axis=1, keepdims=True)  # the layer norm takes each vector's mean off
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    image_share, visual_share, item_visual_share = SHARES
    whole = 1 + visual_share**2  # an image is (its meaning, its look times its share) / sqrt(whole)
    assert looks @ looks.T * whole == pytest.approx(visual_share**2 * centred @ centred.T, abs=1e-5)
    said = encoder.encode(TEXTS)
    conse = FrozenBaseline("conse", FakeStore()).encode(TEXTS)
    assert said @ said.T == pytest.approx(conse @ conse.T, abs=1e-5)
    assert np.abs(said[:, 384:]).max() == 0  # a text looks like nothing
    both = encoder.encode([Content("a lamp", IMAGES[0].image)])
    alone = encoder.encode(TEXTS + IMAGES[:1])
    # an item is (unit(its image's share + its text), its look's share): all are of one length
    image, text = np.sqrt(whole) * alone[2, :384], alone[1, :384]
    mixed = image_share * image + text
    mixed /= np.linalg.norm(mixed) * np.sqrt(1 + item_visual_share**2)
    assert both[0, :384] == pytest.approx(mixed, abs=1e-5)
    look = alone[2, 384:] / visual_share * np.sqrt(whole)
    assert both[0, 384:] == pytest.approx(
        look * item_visual_share / np.sqrt(1 + item_visual_share**2), abs=1e-5
    )


def test_images_are_centred_on_those_at_hand_and_sentences_are_not() -> None:
    plain, centred = fresh(), Encoder(fresh().config, FakeStore()).start_from(IMAGES)
    assert centred.encode(TEXTS) == pytest.approx(plain.encode(TEXTS), abs=1e-6)
    names = plain.backbone._class_tokens(plain.backbone.collate(IMAGES)["image"])  # (6, 2, 384)
    shared = (names - names.mean(0)).sum(1)
    shared = (shared / shared.norm(dim=1, keepdim=True)) @ plain.head.weight.T
    whole = 1 + SHARES[1] ** 2
    assert centred.encode(IMAGES)[:, :384] * whole**0.5 == pytest.approx(
        shared.detach().numpy(), abs=1e-5
    )


def test_training_never_moves_a_still_sentence() -> None:
    before, after = fresh(), moved()
    assert after.encode(TEXTS) == pytest.approx(before.encode(TEXTS), abs=1e-6)
    assert np.abs(after.encode(IMAGES) - before.encode(IMAGES)).max() > 0.01
    free = Encoder(replace(after.config, freeze_text=False), FakeStore())
    free.load_state_dict(after.state_dict())
    assert np.abs(free.eval().encode(TEXTS) - before.encode(TEXTS)).max() > 0.01


def test_pictures_of_one_thing_are_drawn_together_by_hand() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    # cosines 0.6, 0 and 0.8; the first two are of one thing, the third has no other of its kind
    first = -np.log(np.exp(0.6) / (np.exp(0.6) + np.exp(0.0)))
    second = -np.log(np.exp(0.6) / (np.exp(0.6) + np.exp(0.8)))
    loss = supervised_contrast(vectors, torch.tensor([4, 4, 7]), 1.0)
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_looks_are_learnt_from_training_things_alone_and_always_alike() -> None:
    items = [Item(f"{thing}{k}", thing, name=thing,
                  images=tuple(Path(f"{thing}{k}{n}/0.jpg") for n in range(2)),
                  split="test" if thing == "kite" else "train")
             for thing in ("boot", "lamp", "drum", "kite") for k in "ab"]  # fmt: skip
    config = VisualHeadConfig(steps=40, classes=3, per_class=2)

    def margin(encoder: Encoder) -> float:
        learnt = [i for i in items if i.split == "train"]
        looks = encoder.encode([Content(image=one) for i in learnt for one in i.images])[:, 384:]
        names = np.array([i.name for i in learnt for _ in i.images])
        same = names[:, None] == names[None]
        return float((looks @ looks.T)[same].mean() - (looks @ looks.T)[~same].mean())

    before, once = fresh(), fit_visual_head(fresh(), items, config)
    assert margin(once) > margin(before) + 0.3
    again = fit_visual_head(fresh(), [one for one in items if one.split == "train"], config)
    assert torch.equal(once.backbone.visual_head.weight, again.backbone.visual_head.weight)
    assert once.encode(TEXTS) == pytest.approx(before.encode(TEXTS), abs=1e-6)
    left = fit_visual_head(fresh(), items, VisualHeadConfig(steps=0))
    assert torch.equal(left.backbone.visual_head.weight, before.backbone.visual_head.weight)


def test_meaning_learns_at_its_own_rate() -> None:
    encoder = fresh()
    parameters = [one for one in encoder.parameters() if one.requires_grad]
    groups = _groups(encoder, parameters, TrainConfig(semantic_rate=0.1))
    assert [group["share"] for group in groups] == [1.0, 0.1]
    assert not encoder.backbone.shares.requires_grad
    assert id(encoder.backbone.visual_head.weight) in {id(one) for one in groups[0]["params"]}
    assert id(encoder.backbone.classes.weight) in {id(one) for one in groups[1]["params"]}
    assert sum(len(group["params"]) for group in groups) == len(parameters)
    assert len(_groups(encoder, parameters, TrainConfig())) == 1


def test_it_is_saved_whole_and_an_older_file_is_read_as_it_was(tmp_path: Path) -> None:
    encoder = moved()
    loaded = load_encoder(encoder.save(tmp_path / "e.safetensors"), FakeStore())
    assert loaded.config == encoder.config
    assert np.array_equal(loaded.encode(IMAGES), encoder.encode(IMAGES))
    old = Encoder(EncoderConfig(layers=1), FakeStore())
    assert load_encoder(old.save(tmp_path / "o.safetensors"), FakeStore()).config.visual_dim == 0


def test_a_file_with_old_names_is_read(tmp_path: Path) -> None:
    encoder = moved()
    state = {
        name.replace(".visual_head.", ".look.").replace(".text_correction.", ".told."): value
        for name, value in encoder.own_state().items()
    }
    assert {"backbone.look.weight", "backbone.told.weight", "backbone.told.bias"} <= state.keys()
    settings = asdict(encoder.config)
    settings["look"], settings["still"] = settings.pop("visual_dim"), settings.pop("freeze_text")
    save_file(state, tmp_path / "old.safetensors", metadata={"config": json.dumps(settings)})
    loaded = load_encoder(tmp_path / "old.safetensors", FakeStore())
    assert loaded.config == encoder.config
    assert np.array_equal(loaded.encode(IMAGES), encoder.encode(IMAGES))


@pytest.mark.parametrize("wrong", [{"visual_dim": 768}, {"visual_dim": -1}, {"backbone": "vlm"}])
def test_a_look_needs_room_and_frozen_features(wrong: dict) -> None:
    with pytest.raises(InputError, match="visual_dim"):
        replace(RESIDUAL, **wrong)


def test_the_validation_cut_asks_for_training_things_alone() -> None:
    names = [f"thing {n}" for n in range(200)]
    items = [
        Item(n, n, images=(Path("a.jpg"),), name=n, split=split_of(n)) for n in names for _ in "ab"
    ]
    cut = validation_cut(items)
    left_out = [one for one, item in zip(cut, items, strict=True) if item.split == "test"]
    assert {item.split for item in left_out} == {"excluded"}
    assert not any(item.images for item in left_out)
    asks = {item.name for item in cut if item.split == "test"}
    learnt = {item.name for item in cut if item.split == "train"}
    assert not asks & learnt
    assert (len(asks), len(learnt)) == (43, 116)


def test_no_picture_of_a_things_name_that_is_asked_for_is_learnt_from(tmp_path: Path) -> None:
    rows = [{"file_name": f"{n}.jpg", "title": n} for n in ("boot", "lamp", "kite")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    shop = [Item("p", "A lamp", images=(Path("l.jpg"),), name="lamp", split="test"),
            Item("q", "A sofa", images=(Path("s.jpg"),), name="sofa", split="train")]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("creative4u.moon.training.pretrain.read_world", lambda folder: shop)
        found = training_images(PretrainConfig(pictures=(str(tmp_path),), worlds=("shop",)))
    assert [one.item.name for one in found] == ["sofa", "boot", "kite"]
