"""S3's loss and pairs against numbers worked out on paper."""

import math

import numpy as np
import pytest
import torch

from creative4u.ctr.log.position_bias import attraction
from creative4u.ctr.model.debias import DebiasConfig, DebiasNetwork, debias_loss, head_tail_pairs
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
    network = DebiasNetwork(2, 2)
    with torch.no_grad():
        network.first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        network.first.bias.zero_()
        network.second.weight.copy_(torch.tensor([[2.0, 0.0], [1.0, 1.0]]))
    # z = (1, 2): relu(1, -2) = (1, 0); W2 (1, 0) = (2, 1); z + (2, 1) = (3, 3)
    assert network(torch.tensor([[1.0, 2.0]])).tolist() == [[3.0, 3.0]]


def test_pairs_are_nearest_low_impression_creatives_of_the_class_clicked_alike() -> None:
    features = np.array(
        [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [1, 0.01], [0, 0], [0.6, 0.8]], np.float32
    )
    shown = np.array([100, 5, 7, 90, 1, 1, 6])
    clicked = np.array([0.3, 0.1, 0.1, 0.1, 0.5, 0.5, 0.3])  # class 0: median 0.1
    classes = np.array([0, 0, 0, 0, 1, 1, 0])
    pairs = head_tail_pairs(features, shown, clicked, classes, DebiasConfig(head=0.4, tail=0.6))
    # all five of class 0 are at its median or above: heads 0 and 3, each with the nearest tail;
    # class 1 has one image only (row 5 is without)
    assert [pairs.head.tolist(), pairs.tail.tolist()] == [[0, 3], [1, 2]]
    clicked[[1, 2]] = 0.05  # now they and no other are below: 6 is the only tail clicked alike
    pairs = head_tail_pairs(features, shown, clicked, classes, DebiasConfig(head=0.4, tail=0.6))
    assert [pairs.head.tolist(), pairs.tail.tolist()] == [[0, 3], [6, 6]]
    assert pairs.group.tolist() == [1, 1]


def test_pairs_of_one_group_are_no_negatives_of_each_other() -> None:
    head, tail = torch.eye(3), torch.eye(3)
    # rows 0 and 1 have one negative each, row 2 has two; cosines are 1 and 0
    expected = (2 * math.log(1 + math.exp(-2)) + math.log(1 + 2 * math.exp(-2))) / 3
    loss = debias_loss(head, tail, 0.5, torch.tensor([4, 4, 5]))
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert float(debias_loss(head, tail, 0.5, torch.tensor([4, 4, 4]))) == 0.0


def test_attraction_is_what_a_mean_position_would_give() -> None:
    # position 2 is looked at half as much; both creatives are clicked alike where they stand alike
    shown = np.array([[0, 60_000, 20_000], [0, 20_000, 60_000]])
    clicks = np.array([[0, 6_000, 1_000], [0, 2_000, 3_000]])
    assert attraction(shown, clicks) == pytest.approx([0.075, 0.075], rel=1e-3)
    assert attraction(np.zeros((2, 3), int), np.zeros((2, 3), int)) == pytest.approx(
        [0.0364] * 2, rel=1e-3
    )


def test_shares_are_checked() -> None:
    with pytest.raises(InputError, match="at most 1"):
        DebiasConfig(head=0.7, tail=0.6)
