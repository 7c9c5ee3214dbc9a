"""A cached vision tower gives what the bare one gives, and computes every image once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import Idefics3VisionConfig
from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionTransformer

from creative4u.backbone.feature_cache import VisionCache, cache_vision
from creative4u.backbone.vision import pixels


@pytest.fixture
def tower() -> Idefics3VisionTransformer:
    """A tower of one narrow layer with weights from a seed: the cache does not mind the size."""
    torch.manual_seed(0)
    config = Idefics3VisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    return Idefics3VisionTransformer(config).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def cached_base(base_model: Any) -> Iterator[VisionCache]:
    gradients = [parameter.requires_grad for parameter in base_model.parameters()]
    cache = cache_vision(base_model)
    yield cache
    cache.remove()
    for parameter, before in zip(base_model.parameters(), gradients, strict=True):
        parameter.requires_grad_(before)


def test_image_tokens_cached_equal_uncached(
    base_model: Any, pictures: list[Image.Image], cached_base: VisionCache
) -> None:
    seen = pixels(pictures[:2])[None]  # (1, 2, 3, 224, 224)
    with torch.inference_mode():
        cold = base_model.model.get_image_features(seen).pooler_output
        warm = base_model.model.get_image_features(seen).pooler_output
        cached_base.remove()
        bare = base_model.model.get_image_features(seen).pooler_output
        base_model.model.vision_model.forward = cached_base.forward
    torch.testing.assert_close(cold, bare, atol=1e-6, rtol=0)
    torch.testing.assert_close(warm, bare, atol=1e-6, rtol=0)
    assert (cached_base.hits, cached_base.misses) == (2, 2)


def test_both_orders_of_a_pair_cost_one_pass_an_image(
    base_model: Any, pictures: list[Image.Image], cached_base: VisionCache
) -> None:
    seen = pixels(pictures[:2])
    with torch.inference_mode():
        ab = base_model.model.vision_model(seen).last_hidden_state
        ba = base_model.model.vision_model(seen.flip(0)).last_hidden_state
    assert torch.equal(ab.flip(0), ba)
    assert (cached_base.hits, cached_base.misses) == (2, 2)


def test_the_same_image_twice_in_a_batch_is_one_miss(
    tower: Idefics3VisionTransformer, images: torch.Tensor
) -> None:
    bare = tower(images[[0, 1, 0]]).last_hidden_state
    cache = cache_vision(tower)
    torch.testing.assert_close(tower(images[[0, 1, 0]]).last_hidden_state, bare)
    assert (cache.hits, cache.misses) == (1, 2)


def test_the_oldest_leaves_a_full_memory(
    tower: Idefics3VisionTransformer, images: torch.Tensor
) -> None:
    cache = cache_vision(tower, capacity=2)
    for index in (0, 1, 0, 2, 0, 1):  # 2 pushes 1 out, since 0 was used after it
        tower(images[index : index + 1])
    assert (cache.hits, cache.misses) == (2, 4)
    assert len(cache.memory) == 2


def test_a_folder_serves_the_next_process(
    tower: Idefics3VisionTransformer, images: torch.Tensor, tmp_path: Path
) -> None:
    bare = tower(images).last_hidden_state
    cache_vision(tower, tmp_path, dtype=torch.float32)
    tower(images)
    del tower.forward
    again = cache_vision(tower, tmp_path)
    assert torch.equal(tower(images).last_hidden_state, bare.detach())
    assert (again.hits, again.misses) == (3, 0)


def test_other_weights_do_not_read_this_towers_features(
    tower: Idefics3VisionTransformer, images: torch.Tensor, tmp_path: Path
) -> None:
    cache_vision(tower, tmp_path)
    tower(images)
    del tower.forward
    with torch.no_grad():
        tower.post_layernorm.bias.add_(1)
    other = cache_vision(tower, tmp_path)
    tower(images)
    assert other.misses == 3


def test_features_found_without_gradients_can_be_trained_on(
    tower: Idefics3VisionTransformer, images: torch.Tensor
) -> None:
    cache_vision(tower)
    with torch.inference_mode():
        tower(images)
    head = torch.nn.Linear(32, 1)
    head(tower(images).last_hidden_state).sum().backward()
    assert head.weight.grad is not None
    assert not any(parameter.requires_grad for parameter in tower.parameters())


def test_the_state_dict_keeps_its_names(tower: Idefics3VisionTransformer) -> None:
    before = list(tower.state_dict())
    cache_vision(tower)
    assert list(tower.state_dict()) == before


def test_wrong_use_is_told(tower: Idefics3VisionTransformer) -> None:
    with pytest.raises(ValueError, match="Linear holds 0 Idefics3 vision towers"):
        cache_vision(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="capacity is at least 1"):
        cache_vision(tower, capacity=0)
    cache_vision(tower)
    with pytest.raises(ValueError, match="cached already"):
        cache_vision(tower)
