"""Train the CTR model on a click log and embeddings; resumable, on one process or several.

creative4u ctr train WORLD --out DIR
accelerate launch --cpu --num_processes 2 $(which creative4u) ctr train ...   (DDP)

DIR/model.safetensors, model.json     the best model by gAUC on the validation days
DIR/checkpoint.pt                     where a killed run goes on; removed when done
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from numpy.typing import NDArray
from torch import Tensor, nn

from creative4u.ctr.log.dataset import Batch, ClickLog
from creative4u.ctr.log.grouped_auc import mean_auc
from creative4u.ctr.model.ctr_model import CTRModel
from creative4u.ctr.model.debias import DebiasConfig, Pairs, debias_loss
from creative4u.metrics import auc, log_loss

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
CHECKPOINT = "checkpoint.pt"
STEADY = 0.7  # share of the steps at the full learning rate
LAST_RATE = 0.02  # of it, at the end


@dataclass(frozen=True)
class TrainConfig:
    """Our choice throughout. Days are half-open; validation decides when to stop."""

    train_days: tuple[int, int] = (0, 24)
    valid_days: tuple[int, int] = (24, 26)
    batch: int = 4096
    epochs: int = 2
    learning_rate: float = 2e-3  # falls towards the end (`rate_at`)
    weight_decay: float = 1e-5
    evaluate_every: int = 400  # steps
    patience: int = 2  # evaluations without a better gAUC
    valid_rows: int | None = None  # the first ones; all by default
    seed: int = 7
    debias: DebiasConfig = field(default_factory=DebiasConfig)


@dataclass(frozen=True)
class Scored:
    """Rows of a log with their scores: all (n,)."""

    logit: Floats
    label: Floats
    user: Ints
    query: Ints
    item: Ints
    creative: Ints

    @property
    def probability(self) -> Floats:
        return np.asarray(1 / (1 + np.exp(-self.logit)))

    def figures(self) -> dict[str, float]:
        """AUC, gAUC by user, log loss and the number of rows."""
        return {
            "auc": auc(self.logit, self.label),
            "gauc": mean_auc(self.logit, self.label, self.user),
            "log_loss": log_loss(self.probability, self.label),
            "rows": float(len(self.label)),
        }


@dataclass
class State:
    """Where a run stands; what a checkpoint holds beside model and optimizer."""

    epoch: int = 0
    step: int = 0  # steps done in this epoch
    best: float = -1.0
    worse: int = 0
    finished: bool = False


def train(
    model: CTRModel,
    log: ClickLog,
    config: TrainConfig,
    out: Path,
    pairs: Pairs | None = None,
    progress: Callable[[str], None] = lambda line: None,
    stop_after: int | None = None,
) -> State:
    """Train in place; `model` ends as the best one by gAUC on the validation days.

    Args:
        model: with its image tables and impression counts filled in.
        log: its rows of `config.train_days` are learnt from.
        config: a resumed run needs the same one.
        out: the folder of the checkpoint.
        pairs: creative numbers for S3, where the model has its network.
        progress: told one line an evaluation.
        stop_after: steps after which to leave as a killed run would, for tests.

    Returns:
        The state at the end; `finished` unless `stop_after` cut it short.
    """
    accelerator = accelerator_of()
    device = accelerator.device
    model.to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    path, state, best = out / CHECKPOINT, State(), None
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state, best = State(**saved["state"]), saved["best"]
    runner, optimizer = accelerator.prepare(model, optimizer)
    share = (accelerator.process_index, accelerator.num_processes)
    steps = steps_of(model, config.batch, accelerator.num_processes)
    left = stop_after
    while not state.finished and state.epoch < config.epochs:
        batches = log.batches(
            config.batch, config.train_days, epoch=state.epoch, skip=state.step, share=share
        )
        for batch in batches:
            if left is not None:
                if not left:
                    return state
                left -= 1
            torch.manual_seed(config.seed * 1_000_003 + state.epoch * 100_003 + state.step)
            loss = batch_loss(runner, model, batch.to(device), config, pairs)
            done = (state.epoch * steps + state.step) / max(steps * config.epochs, 1)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(done, config.learning_rate) if steps else config.learning_rate
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            state.step += 1
            if state.step % config.evaluate_every == 0:
                best = _evaluate(model, log, config, state, best, progress)
                if accelerator.is_main_process:
                    _save(path, model, optimizer, state, best)
                if state.finished:
                    break
        if not state.finished:
            best = _evaluate(model, log, config, state, best, progress)
            state.epoch, state.step = state.epoch + 1, 0
            if accelerator.is_main_process:
                _save(path, model, optimizer, state, best)
    state.finished = True
    if best is not None:
        model.load_state_dict(best)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        path.unlink(missing_ok=True)
    model.to("cpu").eval()
    return state


def steps_of(model: CTRModel, batch: int, processes: int) -> int:
    """Steps an epoch of each process, by the impressions that the model has counted (0: none)."""
    rows = int(model.get_buffer("shown_item").sum())
    return -(-rows // batch) if processes == 1 else rows // batch // processes


def rate_at(done: float, first: float) -> float:
    """The learning rate after a share `done` of all steps: `first`, then in a line to LAST_RATE.

    Steps of one size to the end leave a model wherever the last batches threw it.
    """
    fallen = min(max(done - STEADY, 0.0) / (1 - STEADY), 1.0)
    return first * (1 - (1 - LAST_RATE) * fallen)


def accelerator_of() -> Accelerator:
    """One process or several, as `accelerate launch` says; tables never change, so none is sent."""
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )


def batch_loss(
    runner: nn.Module,
    model: CTRModel,
    batch: Batch,
    config: TrainConfig,
    pairs: Pairs | None,
) -> Tensor:
    """L = BCE + lambda L_S3 (arXiv 2205.04168); `runner` is the model as Accelerate wraps it."""
    model.train()
    loss = nn.functional.binary_cross_entropy_with_logits(runner(batch), batch.label)
    if model.debias is None or pairs is None or not len(pairs):
        return loss
    chosen = torch.randint(len(pairs), (config.debias.pairs,)).numpy()
    head, tail, group = (
        torch.from_numpy(part[chosen]).to(model.visual.device)
        for part in (pairs.head, pairs.tail, pairs.group)
    )
    adjusted = model.adjusted(model.visual[head]), model.adjusted(model.visual[tail])
    apart = debias_loss(*adjusted, config.debias.temperature, group)
    return loss + config.debias.weight * apart


@torch.no_grad()
def score_log(
    model: CTRModel,
    log: ClickLog,
    days: tuple[int, int],
    batch: int = 8192,
    hidden_only: bool = False,
    limit: int | None = None,
) -> Scored:
    """Score the rows of some days, in the log's order; the first `limit` of them where given."""
    model.eval()
    device = model.visual.device
    logits, labels, ids, count = [], [], [], 0
    for rows in log.batches(batch, days, hidden_only=hidden_only):
        logits.append(model(rows.to(device)).cpu())
        labels.append(rows.label)
        ids.append(rows.ids)
        count += len(rows)
        if limit is not None and count >= limit:
            break
    table = torch.cat(ids).numpy() if ids else np.empty((0, len(model.place)), np.int64)
    user, query, item, creative = (
        table[:, model.place[name]] for name in ("user", "query", "item", "creative")
    )
    return Scored(
        torch.cat(logits).double().numpy() if logits else np.empty(0),
        torch.cat(labels).double().numpy() if labels else np.empty(0),
        user, query, item, creative,
    )  # fmt: skip


def _evaluate(
    model: CTRModel,
    log: ClickLog,
    config: TrainConfig,
    state: State,
    best: dict[str, Tensor] | None,
    progress: Callable[[str], None],
) -> dict[str, Tensor] | None:
    """Compare gAUC with the best so far; the better model's weights come back."""
    quiet = replace(log, counts=type(log.counts)())
    figures = score_log(model, quiet, config.valid_days, limit=config.valid_rows).figures()
    progress(
        f"epoch {state.epoch + 1} step {state.step}: gAUC {figures['gauc']:.4f} "
        f"AUC {figures['auc']:.4f} log loss {figures['log_loss']:.4f}"
    )
    if best is None or figures["gauc"] > state.best:
        state.best, state.worse = figures["gauc"], 0
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state.worse += 1
    state.finished = state.worse >= config.patience
    return best


def _save(
    path: Path,
    model: CTRModel,
    optimizer: torch.optim.Optimizer,
    state: State,
    best: dict[str, Tensor] | None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": asdict(state),
         "best": best}, part,
    )  # fmt: skip
    os.replace(part, path)
