"""Wrap FuxiCTR's DIN and DCNv2 and torch-rechub's DIN in one interface for `ctr peers`.

Each is trained by its own library's training step, with its own optimizer, at the sizes of ours:
embeddings of the fields file's width, a tower of (128, 64), the same behaviour. Position is a
categorical field to them; torch-rechub's DIN takes no dense field, so it gets the price in 20
bins. The libraries are imported here only, inside functions; they come with the extra `peers`.
"""

from __future__ import annotations

import contextlib
import io
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.model.ctr_model import ModelConfig
from creative4u.errors import InputError

ATTENTION = (64,)  # hidden units of the peers' attention, FuxiCTR's default
BINS = 20
CONTEXT = ("user", "query")
ITEM = ("item", "creative")


@dataclass(frozen=True)
class Contender:
    """A model in a comparison: `prepare` is not timed, `steps` is, `score` gives (B,) numbers."""

    name: str
    prepare: Callable[[Sequence[Batch]], list[Any]]
    steps: Callable[[list[Any]], None]
    score: Callable[[Batch], Tensor]
    parameters: int


def fuxi(kind: str, config: ModelConfig, rate: float, folder: Path) -> Contender:
    """FuxiCTR 2.3.10's "DIN" or "DCNv2" (its model zoo's, with behaviour)."""
    try:
        table = import_module("fuxictr.features").FeatureMap("peers", str(folder))
        make = getattr(import_module(f"model_zoo.LongCTR.{kind}.{kind}"), kind)
    except ImportError as error:
        raise _missing(error) from error
    width, size = _width(config), _sizes(config)
    table.labels = ["click"]
    table.features = OrderedDict(
        [(name, {"source": "context", "type": "categorical", "vocab_size": size[name]})
         for name in (*CONTEXT, "position")]
        + [("price", {"source": "context", "type": "numeric"})] * (config.numbers > 0)
        + [(name, {"source": "item", "type": "categorical", "vocab_size": size[name],
                   "padding_idx": 0})  # its mean pooling takes padding for zeros
           for name in ITEM]
    )  # fmt: skip
    table.default_emb_dim = width
    table.num_fields = table.get_num_fields()
    table.set_column_index()
    shared: dict[str, Any] = {
        "feature_map": table, "gpu": -1, "learning_rate": rate, "embedding_dim": width,
        "optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["AUC"], "verbose": 0,
        "model_root": str(folder),
    }  # fmt: skip
    hidden = list(config.hidden)
    if kind == "DIN":
        model = make(dnn_hidden_units=hidden, attention_hidden_units=list(ATTENTION), **shared)
    else:
        model = make(parallel_dnn_hidden_units=hidden, **shared)
    model._max_gradient_norm, model._batch_index = 10.0, 0  # what its `fit` sets

    def one(batch: Batch) -> Any:
        ids = dict(zip(config.names, batch.ids.T, strict=True))
        fields = {name: ids[name] for name in CONTEXT} | {"position": batch.position}
        if config.numbers:
            fields["price"] = batch.numbers[:, 0]
        fields["click"] = batch.label
        items = {
            name: torch.cat([batch.behaviour[:, :, side], ids[name][:, None]], dim=1).flatten()
            for side, name in enumerate(ITEM)
        }
        return fields, items, (batch.behaviour[:, :, 0] != 0).float()

    def steps(chunk: list[Any]) -> None:
        model.train()
        for rows in chunk:
            model.train_step(rows).item()

    @torch.no_grad()
    def score(batch: Batch) -> Tensor:
        model.eval()
        found: Tensor = model.forward(one(batch))["y_pred"][:, 0]
        return found

    return Contender(f"FuxiCTR {kind}", lambda chunk: [one(batch) for batch in chunk], steps,
                     score, _count(model))  # fmt: skip


def rechub(config: ModelConfig, rate: float, prices: Tensor) -> Contender:
    """torch-rechub 0.9.0's DIN; `prices` (n,) are standardised ones, for the bins' edges."""
    try:
        kinds = import_module("torch_rechub.basic.features")
        make = import_module("torch_rechub.models.ranking").DIN
        trainers = import_module("torch_rechub.trainers")
    except ImportError as error:
        raise _missing(error) from error
    width, size = _width(config), _sizes(config)
    cuts = np.quantile(prices.numpy(), np.linspace(0, 1, BINS + 1)[1:-1])
    edges = torch.from_numpy(np.unique(cuts)).float()
    sparse = kinds.SparseFeature
    fields = [sparse(name, size[name], width) for name in (*CONTEXT, "position")]
    fields.append(sparse("price", len(edges) + 1, width))
    target = [sparse(name, size[name], width) for name in ITEM]
    past = [
        kinds.SequenceFeature(f"past_{name}", size[name], width, pooling="concat", shared_with=name)
        for name in ITEM
    ]
    model = make(fields, past, target, mlp_params={"dims": list(config.hidden)},
                 attention_mlp_params={"dims": list(ATTENTION)})  # fmt: skip
    decay = {"lr": rate, "weight_decay": 1e-5}
    trainer = trainers.CTRTrainer(model, optimizer_params=decay, device="cpu")

    def one(batch: Batch) -> Any:
        ids = dict(zip(config.names, batch.ids.T, strict=True))
        rows = {name: ids[name] for name in (*CONTEXT, *ITEM)} | {"position": batch.position}
        price = batch.numbers[:, 0] if config.numbers else torch.zeros(len(batch))
        rows["price"] = torch.bucketize(price.contiguous(), edges)
        for side, name in enumerate(ITEM):
            rows[f"past_{name}"] = batch.behaviour[:, :, side]
        return rows, batch.label

    def steps(chunk: list[Any]) -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            trainer.train_one_epoch(chunk, log_interval=1_000_000)

    @torch.no_grad()
    def score(batch: Batch) -> Tensor:
        model.eval()
        found: Tensor = model(one(batch)[0])
        return found

    return Contender("torch-rechub DIN", lambda chunk: [one(batch) for batch in chunk], steps,
                     score, _count(model))  # fmt: skip


def _sizes(config: ModelConfig) -> dict[str, int]:
    sizes = dict(zip(config.names, config.vocabulary, strict=True))
    return sizes | {"position": config.positions + 1}


def _width(config: ModelConfig) -> int:
    if len(set(config.widths)) != 1:
        raise InputError(f"the peers take embeddings of one width, not {config.widths}")
    return config.widths[0]


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _missing(error: ImportError) -> InputError:
    return InputError(
        f"{error}: the peers are an extra of their own: pip install 'creative4u[peers]'"
    )
