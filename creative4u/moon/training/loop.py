"""Train an encoder with any stage's step: one resumable loop over Accelerate.

Step s draws its batch from `seed` and s alone, and a checkpoint holds weights, optimiser and queue:
a run that is killed and started again ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from creative4u.moon.encoder.encoder import Encoder, with_new_names

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "encoder.safetensors"


@dataclass(frozen=True)
class TrainConfig:
    """Settings that all stages share; `batch` is per process."""

    out: str = "runs/moon/stage"
    steps: int = 400
    batch: int = 64
    rate: float = 3e-4
    semantic_rate: float = (
        1.0  # share of `rate` for the part shared with texts; not the visual head
    )
    decay: float = 0.01
    warmup: int = 20
    checkpoint_steps: int = 100
    log_steps: int = 20
    snapshot_steps: int = 0  # steps between two files encoder-STEP.safetensors; 0: none
    seed: int = 7


# A step maps its number and its random generator to the loss and figures for the log.
Step = Callable[[int, np.random.Generator], tuple[Tensor, Mapping[str, float]]]


def rate_at(step: int, config: TrainConfig) -> float:
    """The learning rate at a step: linear warm-up, then a cosine down to a tenth of `rate`."""
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def train(
    encoder: Encoder,
    step: Step,
    config: TrainConfig,
    accelerator: Accelerator,
    extra: nn.Module | None = None,
    stop_after: int | None = None,
) -> Path:
    """Run the remaining steps and write `out/encoder.safetensors`; returns its path.

    Args:
        extra: what is trained or checkpointed beside the encoder (a queue, heads).
        stop_after: end this run after so many steps, as a kill would.
    """
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    rest = extra or nn.Module()
    parameters = [p for part in (encoder, rest) for p in part.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        _groups(encoder, parameters, config), lr=config.rate, weight_decay=config.decay
    )
    done = _resume(folder, encoder, rest, optimizer)
    encoder.train()
    while done < config.steps:
        rng = np.random.default_rng([config.seed, accelerator.process_index, done])
        torch.manual_seed(config.seed * 1_000_003 + done)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(done, config) * group["share"]
        loss, figures = step(done, rng)
        optimizer.zero_grad()
        accelerator.backward(loss)
        _average(parameters, accelerator)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        done += 1
        if done % config.log_steps == 0 or done == config.steps:
            row = {"step": done, "loss": round(float(loss.detach()), 4)}
            row |= {name: round(value, 4) for name, value in figures.items()}
            log.info(json.dumps(row))
            if accelerator.is_main_process:
                with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        snapshot = config.snapshot_steps and done % config.snapshot_steps == 0
        if accelerator.is_main_process and snapshot:
            encoder.save(folder / f"encoder-{done:06d}.safetensors")
        last = done == config.steps
        if accelerator.is_main_process and (last or done % config.checkpoint_steps == 0):
            _checkpoint(folder, encoder, rest, optimizer, done)
        if stop_after is not None and done >= stop_after:
            return folder / WEIGHTS
    if accelerator.is_main_process:
        encoder.save(folder / WEIGHTS)
    accelerator.wait_for_everyone()
    return folder / WEIGHTS


def _groups(
    encoder: Encoder, parameters: list[nn.Parameter], config: TrainConfig
) -> list[dict[str, Any]]:
    """Parameter groups by their share of the learning rate."""
    slow = (
        {id(one) for one in encoder.semantic_parameters()} if config.semantic_rate != 1 else set()
    )
    groups = [
        {"params": [p for p in parameters if id(p) not in slow], "share": 1.0},
        {"params": [p for p in parameters if id(p) in slow], "share": config.semantic_rate},
    ]
    return [group for group in groups if group["params"]]


def _average(parameters: list[nn.Parameter], accelerator: Accelerator) -> None:
    """Average gradients over processes, as DDP does; a step may run the encoder several times."""
    if accelerator.num_processes == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        parameter.grad = accelerator.reduce(parameter.grad, reduction="mean")


def _checkpoint(
    folder: Path, encoder: Encoder, rest: nn.Module, optimizer: torch.optim.Optimizer, done: int
) -> None:
    state: dict[str, Any] = {
        "done": done,
        "encoder": encoder.own_state(),
        "rest": rest.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    part = folder / f"{CHECKPOINT}.part"
    torch.save(state, part)
    part.replace(folder / CHECKPOINT)


def _resume(
    folder: Path, encoder: Encoder, rest: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    file = folder / CHECKPOINT
    if not file.is_file():
        return 0
    state = torch.load(file, map_location="cpu", weights_only=True)  # tensors and numbers only
    encoder.load_state_dict(with_new_names(state["encoder"]), strict=False)
    rest.load_state_dict(state["rest"])
    optimizer.load_state_dict(state["optimizer"])
    log.info("resuming after step %d", state["done"])
    return int(state["done"])
