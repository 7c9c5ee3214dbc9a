"""CUBE's three interests against numbers worked out on paper."""

import math

import pytest
import torch

from creative4u.ctr.model.cube import Cube, IdInterest, masked_softmax

ROOT = 1 / math.sqrt(2)


def test_interests_by_hand() -> None:
    cube = Cube(temperature=1.0)
    target = torch.tensor([[2.0, 0.0]])
    sequence = torch.tensor([[[1.0, 0.0], [0.0, 5.0], [9.0, 9.0]]])
    ids = torch.tensor([[[10.0], [20.0], [99.0]]])
    there = torch.tensor([[True, True, False]])
    query = torch.tensor([[1.0, 1.0]])
    content, fusion, similarity, near = cube(target, sequence, ids, there, query)
    # s = (1, 0); W = (e, 1) / (e + 1)
    first = math.e / (math.e + 1)
    assert similarity.tolist() == [[1.0, 0.0, 0.0]]
    assert content[0].tolist() == pytest.approx([first, 5 * (1 - first)], rel=1e-6)
    assert fusion[0].tolist() == pytest.approx([10 * first + 20 * (1 - first)], rel=1e-6)
    assert near[0].tolist() == pytest.approx([ROOT], rel=1e-6)


def test_an_empty_behaviour_is_zeros() -> None:
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    parts = Cube()(
        torch.ones(1, 3), torch.zeros(1, 2, 3), torch.ones(1, 2, 4), nothing, torch.zeros(1, 3)
    )
    assert [part.abs().sum().item() for part in parts] == [0, 0, 0, 0]
    assert IdInterest(4)(torch.ones(1, 4), torch.ones(1, 2, 4), nothing).abs().sum() == 0


def test_id_interest_by_hand() -> None:
    # projections start as the identity: scores (4, 0) / sqrt(4) = (2, 0)
    target = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    sequence = torch.tensor([[[2.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]])
    found = IdInterest(4)(target, sequence, torch.ones(1, 2, dtype=torch.bool))
    first = math.e**2 / (math.e**2 + 1)
    assert found[0].tolist() == pytest.approx([2 * first, 1 - first, 0, 0], rel=1e-6)


def test_masked_softmax() -> None:
    weight = masked_softmax(torch.tensor([[0.0, 0.0, 50.0]]), torch.tensor([[True, True, False]]))
    assert weight.tolist() == [[0.5, 0.5, 0.0]]
