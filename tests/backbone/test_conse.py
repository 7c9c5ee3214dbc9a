"""Class names and sentence vectors carry an image to its words; real photos to their titles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from creative4u.backbone.classifier import class_names, class_probabilities, fused
from creative4u.backbone.conse import ConSE
from creative4u.backbone.sentences import sentence_vectors


def test_class_names_stand_at_their_indices() -> None:
    names = class_names()
    assert len(set(names)) == len(names) == 1000
    known = {
        207: "Golden Retriever",
        620: "laptop computer",
        770: "running shoe",
        999: "toilet paper",
    }
    assert {index: names[index] for index in known} == known


def test_probabilities_sum_to_one_and_do_not_mind_the_batch(pictures: list[Image.Image]) -> None:
    together = class_probabilities(pictures)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(class_probabilities(pictures[1:2])[0], together[1], atol=1e-5)
    assert class_probabilities([]).shape == (0, 1000)


def test_folded_norms_change_no_answer(pictures: list[Image.Image]) -> None:
    plain = EfficientNet.from_name("efficientnet-lite2").eval()
    for norm in [part for part in plain.modules() if isinstance(part, torch.nn.BatchNorm2d)]:
        norm.running_mean.uniform_(-0.1, 0.1)
        norm.running_var.uniform_(0.5, 2)
    square = np.asarray(pictures[0].convert("RGB").resize((260, 260)), np.float32) / 128 - 1
    pixels = torch.from_numpy(square).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = plain(pixels)
        folded = fused(plain)
        found = folded(pixels)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_sentences_of_one_meaning_are_near() -> None:
    texts = ["running shoes for men", "a sneaker to jog in", "a jar of strawberry jam"]
    vectors = sentence_vectors(texts)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.4 > 0.2 > far
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_padding_does_not_change_a_sentence() -> None:
    long = "a long title of a product that goes on and on and on and on"
    together = sentence_vectors([long, "mug"])
    np.testing.assert_allclose(together[1], sentence_vectors(["mug"])[0], atol=1e-5)
    assert sentence_vectors([]).shape == (0, 384)


def test_a_certain_class_stands_where_its_name_stands() -> None:
    bridge = ConSE()
    certain = np.eye(1000, dtype=np.float32)[[620, 770]]
    images = bridge.from_probabilities(certain)
    names = bridge.text_vectors([class_names()[620], class_names()[770]])
    np.testing.assert_allclose((images * names).sum(axis=1), 1, atol=1e-5)


def test_two_classes_weigh_by_the_root_of_their_probability() -> None:
    bridge = ConSE(top_k=2)
    probabilities = np.zeros((1, 1000), np.float32)
    probabilities[0, [620, 770, 5]] = (0.64, 0.25, 0.11)  # roots 0.8 and 0.5; the third is cut
    laptop, shoe = bridge.text_vectors([class_names()[620], class_names()[770]])
    expected = 0.8 * laptop + 0.5 * shoe
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(bridge.from_probabilities(probabilities)[0], expected, atol=1e-5)


def test_top_k_is_checked() -> None:
    with pytest.raises(ValueError, match="top_k is 1 to 1000, not 0"):
        ConSE(top_k=0)


def test_titles_find_their_photographs(product_photos: list[tuple[str, Image.Image]]) -> None:
    """Text to image among all product photographs (59): R@5 at least 0.5, chance is 0.085."""
    titles, images = zip(*product_photos, strict=True)
    scores = ConSE().text_vectors(titles) @ ConSE().image_vectors(images).T  # (titles, images)
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert len(ranks) >= 50
    assert (ranks < 5).mean() >= 0.5
