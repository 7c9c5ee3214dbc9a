"""A model's name in, a Judge out; the weights are loaded once per process.

Nothing: the embedded Creative4U-160M. A local folder or a hub id: loaded with transformers.
`http://...`: any OpenAI-compatible server.
"""

from __future__ import annotations

import contextlib
import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor

from creative4u.backbone.feature_cache import cache_vision
from creative4u.backbone.names import base_folder
from creative4u.errors import InputError
from creative4u.schema import Dtype
from creative4u.selector.config import FILE_NAME, PAPER, JudgeConfig, read_config
from creative4u.selector.drafts import UsualLines, read_usual_lines
from creative4u.selector.endpoints import Patience, is_url
from creative4u.selector.evidence import ImageEvidence
from creative4u.selector.invariant import arithmetic_of, with_exact
from creative4u.selector.judge import Judge
from creative4u.selector.local import LocalBackend
from creative4u.selector.openai_backend import CONCURRENCY, OpenAIBackend
from creative4u.selector.probe import load_probe
from creative4u.selector.prompts_only import PromptsOnly

EMBEDDED = "Creative4U-160M"


def embedded_adapter() -> Path:
    """The folder of the shipped adapter, inside the package."""
    with resources.as_file(resources.files("creative4u.selector") / "weights") as folder:
        return folder


@functools.cache
def evidence() -> ImageEvidence:
    """The process's one ImageEvidence, with the shipped probe."""
    return ImageEvidence(load_probe(embedded_adapter()))


@functools.cache
def load_judge(
    model: str | None = None,
    *others: str,
    concurrency: int = CONCURRENCY,
    patience: Patience | None = None,
    dtype: Dtype = "auto",
) -> Judge:
    """The judge of a model's name; raises InputError, AssetError or what transformers says.

    A folder with an adapter_config.json is an adapter on the base that it names. `others` are
    further servers of the same model, `concurrency` the requests in flight over all of them, and
    `patience` how long to wait for them. `dtype` is what a model in this process computes its
    products in; `auto` is the faster type in which no batch changes a verdict.
    """
    if model is not None and is_url(model):
        if dtype != "auto":
            raise InputError(f"--dtype {dtype}: {model} computes in a type of its own")
        return _served((model, *others), concurrency, patience)
    if others:
        raise InputError("more than one model: several are allowed only as http://... addresses")
    folder = embedded_adapter() if model is None else Path(model)
    if (folder / "adapter_config.json").exists():
        config = read_config(folder)
        loaded, processor = merged(folder, dtype)
    else:
        source = base_folder(str(model))
        config = read_config(Path(source)) if Path(source).is_dir() else PAPER
        loaded, processor = _loaded(source, dtype)
    with contextlib.suppress(ValueError):  # a tower that no cache knows
        cache_vision(loaded, None, capacity=256)  # one pass an image, in both orders and alone
    name = EMBEDDED if model is None else str(model)
    rounded, exact = with_exact(loaded.eval(), dtype)
    return judge_of(rounded, processor, name, config, read_usual_lines(folder), exact)


@functools.cache
def load_asker(model: str | None = None) -> Judge:
    """A judge for its prompts alone: weights are loaded only where it observes with them."""
    folder = embedded_adapter() if model is None else Path(model)
    config = read_config(folder) if folder.is_dir() else PAPER
    if config.observe == "model" or (model is not None and is_url(model)):
        return load_judge(model)
    return Judge(PromptsOnly(EMBEDDED if model is None else model), config, evidence())


def judge_of(
    model: Any, processor: Any, name: str, config: JudgeConfig, lines: UsualLines | None = None,
    exact: Any = None,
) -> Judge:  # fmt: skip
    """A judge on a model that is already in memory; `lines` are what it usually says.

    `exact` is the same model in float32, where `model` rounds.
    """
    backend = LocalBackend(model.eval(), processor, name, config.image_side, exact)
    backend.decoder.recall(lines or {})
    return Judge(backend, config, evidence(), arithmetic_of(model))


def _served(urls: tuple[str, ...], concurrency: int, patience: Patience | None) -> Judge:
    """The judge of a served model, by the config of the folder that it was served from.

    Where that folder is on another machine, the embedded model is known by its name, and any other
    is judged in the paper's single pass.
    """
    backend = OpenAIBackend(urls, concurrency=concurrency, patience=patience)
    config = PAPER
    if backend.folder is not None and (backend.folder / FILE_NAME).is_file():
        config = read_config(backend.folder)
    elif backend.name == EMBEDDED:
        config = read_config(embedded_adapter())
    backend.image_side = config.image_side
    return Judge(backend, config, evidence())


def _loaded(source: str, dtype: Dtype) -> tuple[Any, Any]:
    kind: Any = dtype if torch.cuda.is_available() else torch.float32  # `invariant` rounds
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=kind)
    return model, AutoProcessor.from_pretrained(source)


def merged(folder: Path, dtype: Dtype = "auto") -> tuple[Any, Any]:
    """Base and adapter, merged in memory: float32 sums, so that nothing drifts (test: 1e-3)."""
    base = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    model, processor = _loaded(base_folder(base["base_model_name_or_path"]), dtype)
    return PeftModel.from_pretrained(model, str(folder)).merge_and_unload(), processor
