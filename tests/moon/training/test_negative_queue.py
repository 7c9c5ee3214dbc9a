"""The queue forgets the oldest; two processes with gathered negatives are one with all rows."""

from __future__ import annotations

import math
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from accelerate import Accelerator

from creative4u.moon.losses.infonce import info_nce
from creative4u.moon.training.negative_queue import NegativeQueue, gather_rows


def test_queue_keeps_the_newest() -> None:
    queue = NegativeQueue(3, 1)
    assert queue.negatives()[0].shape == (0, 1)
    queue.push(torch.tensor([[1.0], [2.0]]), torch.tensor([1, 2]))
    vectors, keys = queue.negatives()
    assert (vectors.flatten().tolist(), keys.tolist()) == ([1.0, 2.0], [1, 2])
    queue.push(torch.tensor([[3.0], [4.0]]), torch.tensor([3, 4]))
    vectors, keys = queue.negatives()
    assert (vectors.flatten().tolist(), keys.tolist()) == ([4.0, 2.0, 3.0], [4, 2, 3])
    queue.push(torch.arange(5.0)[:, None], torch.arange(5))
    assert sorted(queue.negatives()[1].tolist()) == [2, 3, 4]


def test_a_step_with_the_queue_by_hand() -> None:
    queue = NegativeQueue(4, 2)
    queue.push(torch.tensor([[0.6, 0.8], [1.0, 0.0]]), torch.tensor([5, 9]))
    vectors, keys = queue.negatives()
    query = torch.tensor([[1.0, 0.0]])
    loss = info_nce(query, query, vectors, 1.0, torch.tensor([9]), keys)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(0.6 - 1)), abs=1e-6)
    assert not vectors.requires_grad


def rows(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    unit = torch.nn.functional.normalize
    return unit(torch.randn(6, 4), dim=1), unit(torch.randn(6, 4), dim=1), torch.arange(6) // 2


def work(rank: int, port: int, out: str) -> None:
    import os

    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    accelerator = Accelerator(cpu=True)
    query, positive, keys = rows(0)
    mine = slice(3 * rank, 3 * rank + 3)
    own_query = query[mine].clone().requires_grad_()
    own_positive = positive[mine].clone().requires_grad_()
    everyone = gather_rows(own_positive, accelerator)
    all_keys = gather_rows(keys[mine], accelerator)
    own = torch.arange(3) + 3 * rank
    loss = info_nce(own_query, everyone, None, 0.2, all_keys, None, own).mean()
    loss.backward()
    assert own_query.grad is not None
    assert own_positive.grad is not None
    result = {"loss": loss.detach(), "q": own_query.grad, "p": own_positive.grad}
    torch.save(result, f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one_with_the_joined_batch(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(work, (port, str(tmp_path)), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    query, positive, keys = rows(0)
    query.requires_grad_()
    positive.requires_grad_()
    joined = info_nce(query, positive, None, 0.2, keys).mean()
    joined.backward()
    assert query.grad is not None
    assert positive.grad is not None
    assert (parts[0]["loss"] + parts[1]["loss"]).item() / 2 == pytest.approx(joined.item())
    # a process's loss is the mean of half the rows, DDP halves again: the sum of both is twice
    assert torch.allclose(torch.cat([p["q"] for p in parts]) / 2, query.grad, atol=1e-6)
    assert torch.allclose(torch.cat([p["p"] for p in parts]) / 2, positive.grad, atol=1e-6)
