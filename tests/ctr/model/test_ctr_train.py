"""Fitting a small shop: learns, resumes, saves and loads; two processes' gradients equal one's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_shop import write_shop

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.log.fields import read_fields
from creative4u.ctr.log.shop import count_cells, read_shop
from creative4u.ctr.model.ctr_model import POSITION_SCALE, CTRModel, ModelConfig
from creative4u.ctr.model.debias import Pairs
from creative4u.ctr.model.fit import FitConfig, fit
from creative4u.ctr.model.predictor import load_predictor
from creative4u.ctr.model.train import (
    TrainConfig,
    batch_loss,
    rate_at,
    score_log,
    steps_of,
    train,
)
from creative4u.ctr.visual.embeddings import Embeddings, load_embeddings
from creative4u.errors import InputError

TRAINING = TrainConfig(
    train_days=(0, 3), valid_days=(3, 4), batch=256, epochs=3, learning_rate=1e-2,
    evaluate_every=5, patience=9,
)  # fmt: skip
CONFIG = FitConfig(TRAINING, calibration_days=(4, 5), test_days=(5, 6), debias=True)


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"))


def embeddings() -> Embeddings:
    """Creative k's visual vector tells k % 3; creative 11 has none; queries point the other way."""
    table = np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    table[11] = 0
    return Embeddings(np.arange(12), np.arange(6), table, table, -np.ones((6, 3), np.float32))


def random_batch(count: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randint(0, 5, shape, generator=generator)  # noqa: E731
    return Batch(
        draw(count, 4), torch.randn(count, 1, generator=generator), draw(count) + 1,
        draw(count, 10, 2), torch.rand(count, generator=generator).round(),
    )  # fmt: skip


def small_model(**options: object) -> CTRModel:
    torch.manual_seed(1)
    sizes = dict.fromkeys(("user", "query", "item", "creative"), 5)
    config = replace(ModelConfig.of(read_fields(), sizes, **options), id_dropout=0.0)
    model = CTRModel(config)
    for name in sizes:
        model.get_buffer(f"shown_{name}").fill_(1)
    return model


def test_a_new_creative_is_told_by_its_image(shop_folder: Path, tmp_path: Path) -> None:
    shop = read_shop(shop_folder)
    found = fit(shop, embeddings(), CONFIG, tmp_path, hidden=(1, 2))
    test = found.report["test"]
    assert test["auc"] > 0.6  # clicks at 0.1, 0.3 and 0.5: 0.68 is what can be known
    assert test["pcoc"] == pytest.approx(1, abs=0.15)
    assert found.report["counts"]["missing_images"] == 1
    reader = found.reader(shop.log, hidden=(1, 2))
    new = score_log(found.model, reader, (4, 6), hidden_only=True)
    number = found.vocabularies["creative"].numbers(np.array([1, 2]))
    mean = [new.logit[new.creative == one].mean() for one in number]
    assert mean[1] > mean[0]  # 0.5 against 0.3, never shown in training
    loaded = load_predictor(tmp_path)
    again = score_log(loaded.model, loaded.reader(shop.log, hidden=(1, 2)), (4, 6),
                      hidden_only=True)  # fmt: skip
    assert np.array_equal(again.logit, new.logit)
    assert loaded.calibrator == found.calibrator
    assert not (tmp_path / "checkpoint.pt").exists()
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("line.weight")  # as another version's model would lack it
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="train anew"):
        load_predictor(tmp_path)


def test_killed_and_resumed_ends_with_the_same_weights(shop_folder: Path, tmp_path: Path) -> None:
    shop = read_shop(shop_folder)
    whole = fit(shop, embeddings(), CONFIG, tmp_path / "whole")

    def fresh() -> CTRModel:
        model = CTRModel(whole.model.config)
        model.load_state_dict(whole.model.state_dict())
        torch.manual_seed(3)
        for part in (*model.embeddings, *model.tower):
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
        return model

    pairs = Pairs(np.array([1, 2]), np.array([4, 5]), np.array([0, 1]))
    log, out = whole.reader(shop.log), tmp_path / "cut"
    straight, cut = fresh(), fresh()
    train(straight, log, TRAINING, tmp_path / "straight", pairs)
    assert not train(cut, log, TRAINING, out, pairs, stop_after=13).finished
    resumed = fresh()
    train(resumed, log, TRAINING, out, pairs)
    for name, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_learning_rate_falls_towards_the_end() -> None:
    assert [rate_at(done, 1.0) for done in (0.0, 0.7, 0.85, 1.0, 1.5)] == pytest.approx(
        [1, 1, 0.51, 0.02, 0.02]
    )
    model = small_model()  # 5 rows counted
    assert [steps_of(model, 2, 1), steps_of(model, 2, 2), steps_of(model, 9, 1)] == [3, 1, 1]


def test_debiasing_adds_its_share_of_the_loss() -> None:
    model = small_model(visual=2, debias=True)
    model.visual[1:] = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    batch, config = random_batch(6), TrainConfig()
    plain = batch_loss(model, model, batch, config, None)
    torch.manual_seed(0)
    both = batch_loss(
        model, model, batch, config, Pairs(np.array([1, 1]), np.array([2, 2]), np.array([0, 1]))
    )
    # two pairs of two groups, all cosines equal: L_S3 = ln(1 + those drawn of the other group)
    torch.manual_seed(0)
    times = np.bincount(torch.randint(2, (config.debias.pairs,)).numpy())
    expected = config.debias.weight * (times @ np.log(1 + times[::-1])) / config.debias.pairs
    assert (both - plain).item() == pytest.approx(expected, rel=1e-4)


def test_position_stands_outside_of_the_tower() -> None:
    model = small_model().eval()
    with torch.no_grad():
        model.position.weight[:, 0] = torch.arange(11.0)
    batch = random_batch(4)
    first = model(replace(batch, position=torch.ones(4, dtype=torch.long)))
    third = model(replace(batch, position=torch.full((4,), 3)))
    assert torch.allclose(third - first, torch.full((4,), 2.0 * POSITION_SCALE))


def test_ids_never_shown_share_one_bucket() -> None:
    model = small_model().eval()
    model.get_buffer("shown_creative")[3:] = 0
    batch = replace(random_batch(1), ids=torch.tensor([[1, 1, 1, 3]]))
    other = replace(batch, ids=torch.tensor([[1, 1, 1, 4]]))
    assert torch.equal(model(batch), model(other))


def test_two_halves_give_the_gradient_of_the_whole() -> None:
    """What DDP does: the mean of the processes' gradients, each over its own half."""
    batch = random_batch(8)
    names = ("ids", "numbers", "position", "behaviour", "label")
    halves = [Batch(*(getattr(batch, name)[k::2] for name in names)) for k in (0, 1)]

    def gradient(rows: Batch) -> torch.Tensor:
        model = small_model(multimodal=2, visual=2)
        batch_loss(model, model, rows, TrainConfig(), None).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    mean = (gradient(halves[0]) + gradient(halves[1])) / 2
    assert torch.allclose(mean, gradient(batch), atol=1e-7)


def test_cells_are_counted(shop_folder: Path) -> None:
    cells = count_cells(read_shop(shop_folder), read_fields(), (0, 2))
    assert cells.shown.sum() == 2000
    rate = np.bincount(cells.creative % 3, cells.clicks) / np.bincount(
        cells.creative % 3, cells.shown
    )
    assert rate == pytest.approx([0.1, 0.3, 0.5], abs=0.05)


def test_embeddings_are_saved_whole_and_checked(tmp_path: Path) -> None:
    embeddings().save(tmp_path / "good.safetensors")
    assert np.array_equal(
        load_embeddings(tmp_path / "good.safetensors").visual, embeddings().visual
    )
    replace(embeddings(), visual=np.ones((3, 2), np.float32)).save(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="12 creative ids, but 3 visual"):
        load_embeddings(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="no embeddings file"):
        load_embeddings(tmp_path / "missing.safetensors")
