"""Two real processes under Accelerate: the gradients of one, and the same model in both."""

import os
import socket
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as processes

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.log.fields import read_fields
from creative4u.ctr.model.ctr_model import CTRModel, ModelConfig
from creative4u.ctr.model.debias import Pairs
from creative4u.ctr.model.train import TrainConfig, accelerator_of, batch_loss

PAIRS = Pairs(np.array([1, 2]), np.array([3, 4]), np.array([0, 1]))


def model_and_batch() -> tuple[CTRModel, Batch]:
    torch.manual_seed(1)
    sizes = dict.fromkeys(("user", "query", "item", "creative"), 5)
    config = ModelConfig.of(read_fields(), sizes, visual=3, multimodal=2, debias=True)
    model = CTRModel(ModelConfig(**{**config.__dict__, "id_dropout": 0.0}))
    for name in sizes:
        model.get_buffer(f"shown_{name}").fill_(1)
    generator = torch.Generator().manual_seed(0)
    model.visual = torch.randn(5, 3, generator=generator)
    model.multimodal = torch.randn(5, 2, generator=generator)
    model.query = torch.randn(5, 2, generator=generator)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randint(0, 5, shape, generator=generator)

    return model, Batch(
        draw(16, 4), torch.randn(16, 1, generator=generator), draw(16) + 1, draw(16, 10, 2),
        torch.rand(16, generator=generator).round(),
    )  # fmt: skip


def rows_of(batch: Batch, rows: slice) -> Batch:
    names = ("ids", "numbers", "position", "behaviour", "label")
    return Batch(*(getattr(batch, name)[rows] for name in names))


def gradients(model: CTRModel) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def one_of_two(rank: int, port: int, folder: str) -> None:
    """What `train` does with a batch, in one of the processes that a launcher starts."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
                   "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                   "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}  # fmt: skip
    accelerator = accelerator_of()
    assert accelerator.num_processes == 2
    model, batch = model_and_batch()
    runner = accelerator.prepare(model)
    torch.manual_seed(5)  # S3 draws the same pairs everywhere
    half = rows_of(batch, slice(8 * rank, 8 * rank + 8))
    accelerator.backward(batch_loss(runner, model, half, TrainConfig(), PAIRS))
    torch.save(gradients(model), Path(folder) / f"{rank}.pt")


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes.spawn(one_of_two, args=(port, str(tmp_path)), nprocs=2)
    model, batch = model_and_batch()
    torch.manual_seed(5)
    batch_loss(model, model, batch, TrainConfig(), PAIRS).backward()
    whole = gradients(model)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == whole.keys()
        for name, gradient in whole.items():
            assert torch.allclose(found[name], gradient, atol=1e-6), name
