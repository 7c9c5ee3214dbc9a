"""S3's loss and pairs against numbers worked out on paper."""

import math

import numpy as np
import pytest
import torch

from creative4u.ctr.debias import DebiasConfig, DebiasNetwork, debias_loss, head_tail_pairs
from creative4u.errors import InputError


def test_loss_of_two_orthogonal_pairs() -> None:
    # cosines: own pair 1, other pair 0; temperature 0.5: -log(e^2 / (e^2 + 1)) for both rows
    head = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    tail = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = -math.log(math.e**2 / (math.e**2 + 1))
    assert float(debias_loss(head, tail, 0.5)) == pytest.approx(expected, rel=1e-6)


def test_loss_of_swapped_pairs() -> None:
    # own pair 0, other pair 1: -log(1 / (e^2 + 1))
    head, tail = torch.eye(2), torch.eye(2).flip(0)
    assert float(debias_loss(head, tail, 0.5)) == pytest.approx(math.log(math.e**2 + 1), rel=1e-6)


def test_one_pair_has_nothing_to_tell_apart() -> None:
    assert float(debias_loss(torch.ones(1, 3), torch.rand(1, 3), 0.2)) == 0.0


def test_the_network_starts_as_the_identity() -> None:
    z = torch.randn(4, 6)
    assert torch.equal(DebiasNetwork(6)(z), z)


def test_the_network_by_hand() -> None:
    network = DebiasNetwork(2)
    with torch.no_grad():
        network.first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        network.first.bias.zero_()
        network.second.weight.copy_(torch.tensor([[2.0, 0.0], [1.0, 1.0]]))
    # z = (1, 2): relu(1, -2) = (1, 0); W2 (1, 0) = (2, 1); z + (2, 1) = (3, 3)
    assert network(torch.tensor([[1.0, 2.0]])).tolist() == [[3.0, 3.0]]


def test_pairs_are_nearest_low_impression_creatives_of_the_class() -> None:
    features = np.array(
        [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [1, 0.01], [0, 0]], np.float32
    )  # fmt: skip
    shown = np.array([100, 5, 7, 90, 1, 1])
    classes = np.array([0, 0, 0, 0, 1, 1])
    heads, tails = head_tail_pairs(features, shown, classes, DebiasConfig(head=0.5, tail=0.5))
    # class 0: heads 0 and 3, tails 1 and 2; class 1 has one image only (row 5 is without)
    assert heads.tolist() == [0, 3]
    assert tails.tolist() == [1, 2]


def test_shares_are_checked() -> None:
    with pytest.raises(InputError, match="at most 1"):
        DebiasConfig(head=0.7, tail=0.6)
