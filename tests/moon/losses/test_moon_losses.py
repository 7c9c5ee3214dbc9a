"""The losses by numbers worked out on paper."""

from __future__ import annotations

import math

import pytest
import torch

from creative4u.moon.encoder.experts import ModalityAlignment, ModalityExperts, load_balance
from creative4u.moon.losses import filtering
from creative4u.moon.losses.alignment import inter_product, intra_product
from creative4u.moon.losses.circle import circle_loss
from creative4u.moon.losses.infonce import info_nce

X, Y = [1.0, 0.0], [0.0, 1.0]
DIAGONAL = [0.6, 0.8]


def test_info_nce_in_batch() -> None:
    # query X: own positive X (cosine 1), other positive DIAGONAL (0.6); T = 0.5
    loss = info_nce(torch.tensor([X, Y]), torch.tensor([X, DIAGONAL]), temperature=0.5)
    first = -math.log(math.exp(2.0) / (math.exp(2.0) + math.exp(1.2)))
    second = -math.log(math.exp(1.6) / (math.exp(0.0) + math.exp(1.6)))
    assert loss.tolist() == pytest.approx([first, second], abs=1e-6)


def test_info_nce_with_a_queue_and_keys() -> None:
    # the queue holds Y (another product) and X (the query's own product: no negative)
    loss = info_nce(
        torch.tensor([X]),
        torch.tensor([X, DIAGONAL]),
        torch.tensor([Y, X]),
        temperature=1.0,
        keys=torch.tensor([7, 7]),  # DIAGONAL is another SKU of the same product: left out
        negative_keys=torch.tensor([8, 7]),
    )
    assert loss.tolist() == pytest.approx([math.log(1 + math.exp(-1))], abs=1e-6)


def test_info_nce_takes_negatives_by_query_and_rows_of_candidates() -> None:
    loss = info_nce(
        torch.tensor([X]),
        torch.tensor([Y, X]),
        torch.tensor([[DIAGONAL]]),
        temperature=1.0,
        own=torch.tensor([1]),
    )
    total = math.exp(0.0) + math.exp(1.0) + math.exp(0.6)
    assert loss.item() == pytest.approx(-math.log(math.e / total), abs=1e-6)


def test_circle_loss() -> None:
    # m = 0.25, g = 2: s_p = 0.5 -> a_p = 0.75, logit 2 * 0.75 * 0.25 = 0.375
    # s_n = 0.45 -> a_n = 0.7, logit 2 * 0.7 * 0.2 = 0.28; s_n = -0.5 -> a_n = 0, logit 0
    loss = circle_loss(torch.tensor([[0.5]]), torch.tensor([[0.45, -0.5]]), 0.25, 2.0)
    expected = math.log(1 + math.exp(0.375) * (math.exp(0.28) + 1))
    assert loss.tolist() == pytest.approx([expected], abs=1e-6)


def test_circle_loss_leaves_out_what_does_not_count() -> None:
    negatives = torch.tensor([[0.45, float("-inf")]])
    loss = circle_loss(torch.tensor([[0.5]]), negatives, 0.25, 2.0)
    expected = math.log(1 + math.exp(0.375) * math.exp(0.28))
    assert loss.tolist() == pytest.approx([expected], abs=1e-6)


def alignment_of(rows: list[list[float]]) -> ModalityAlignment:
    """W* whose softmax rows are the given probabilities."""
    part = ModalityAlignment(len(rows), len(rows[0]))
    with torch.no_grad():
        part.logits.copy_(torch.tensor(rows).log())
    return part


def test_omega() -> None:
    part = alignment_of([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    gates = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
    # samples 0 and 1 are of t: sum_z p_(z,t) G = 0.5 and 0.3; sample 2 is mm: 0.05 + 0.6 = 0.65
    omega = part.omega(gates, torch.tensor([0, 0, 2]))
    assert omega.tolist() == pytest.approx([0.4, 0.0, 0.65], abs=1e-6)


def test_sparsity() -> None:
    third = 1 / 3
    part = alignment_of([[third, third, third], [0.5, 0.5, 1e-9]])
    assert part.sparsity().item() == pytest.approx((math.log(3) + math.log(2)) / 2, abs=1e-6)


def test_load_balance() -> None:
    even = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    assert load_balance(even).item() == pytest.approx(1.0)
    # all go to the first: f = (1, 0), P = (0.8, 0.2): 2 * 0.8
    assert load_balance(torch.tensor([[0.9, 0.1], [0.7, 0.3]])).item() == pytest.approx(1.6)


def test_phi_and_its_decaying_margin() -> None:
    config = filtering.FilterConfig(kappa=10, margin_start=0.2, margin_end=0.0, threshold=0.6)
    good, bad = torch.tensor([0.7, 0.5]), torch.tensor([0.3, 0.4])
    # start: 10 * (0.4 - 0.2) = 2 and 10 * (0.1 - 0.2) = -1
    start = filtering.phi(good, bad, 0.0, config)
    assert start.tolist() == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.e)], abs=1e-6)
    end = filtering.phi(good, bad, 1.0, config)  # 4 and 1
    expected = [1 / (1 + math.exp(-4)), 1 / (1 + math.exp(-1))]
    assert end.tolist() == pytest.approx(expected, abs=1e-6)
    weights = filtering.weights(good, bad, 0.0, config)
    assert weights.tolist() == pytest.approx([1.0, 0.26894142 / 0.6], abs=1e-6)


def test_inter_product_weighs_objectives_and_triplets() -> None:
    losses = [torch.tensor([1.0, 2.0]), torch.tensor([4.0, 0.0]), torch.tensor([2.0, 2.0])]
    omega = torch.tensor([0.5, 0.25, 1.0])
    assert inter_product(losses, omega).item() == pytest.approx(0.75 + 0.5 + 2.0)
    kept = torch.tensor([1.0, 0.5])
    assert inter_product(losses, omega, kept).item() == pytest.approx(0.5 + 0.5 + 1.5)


def test_intra_product_has_one_negative_text() -> None:
    loss = intra_product(torch.tensor([X]), torch.tensor([DIAGONAL]), torch.tensor([Y]), 0.5)
    assert loss.tolist() == pytest.approx([math.log(1 + math.exp(-1.2))], abs=1e-6)


def test_upcycling_changes_nothing_and_gates_sum_to_one() -> None:
    torch.manual_seed(0)
    dense = torch.nn.Linear(6, 6)
    part = ModalityExperts(dense, width=6, experts=3, rank=2)
    hidden = torch.randn(2, 4, 6)
    assert torch.equal(part(hidden), dense(hidden))
    assert part.gates.sum(1).tolist() == pytest.approx([1.0, 1.0])


def test_guided_experts_are_always_on_and_padding_does_not_count() -> None:
    torch.manual_seed(0)
    part = ModalityExperts(torch.nn.Linear(6, 6), width=6, experts=4, rank=2, guided=2)
    torch.nn.init.normal_(part.up)
    hidden = torch.randn(1, 3, 6)
    part.mask = torch.tensor([[True, True, False]])
    out = part(hidden)
    gates, guides = part.gates, part.guides
    assert gates[0, :2].tolist() == [1.0, 1.0]
    assert gates[0, 2:].sum().item() == pytest.approx(1.0)
    part.mask = None
    assert torch.allclose(part(hidden[:, :2]), out[:, :2], atol=1e-6)
    assert torch.allclose(part.gates, gates, atol=1e-6)
    assert torch.allclose(part.guides, guides, atol=1e-6)
