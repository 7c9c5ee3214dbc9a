"""Load a judge by its model's name, once a process.

Nothing: the embedded Creative4U-160M. A local folder or a hub id: loaded with transformers.
`http://...`: any OpenAI-compatible server, for which no weights and no transformers are loaded.
"""

from __future__ import annotations

import contextlib
import functools
import json
from pathlib import Path
from typing import Any

from PIL.Image import Image
from PIL.Image import new as new_image

from creative4u.backbone.names import EMBEDDED, embedded_adapter
from creative4u.backbone.wheels import WHEELS
from creative4u.errors import InputError
from creative4u.files.origin import file_hash
from creative4u.images import MIN_SIDE
from creative4u.schema import Dtype
from creative4u.selector.backends.openai_server import CONCURRENCY, OpenAIBackend
from creative4u.selector.backends.prompt_only import PromptsOnly
from creative4u.selector.backends.server_pool import Patience, is_url
from creative4u.selector.config import FILE_NAME, PAPER, JudgeConfig, read_config
from creative4u.selector.decoding.speculation import UsualLines, read_usual_lines
from creative4u.selector.evidence.image_evidence import evidence
from creative4u.selector.evidence.linear_probe import FILE_NAME as PROBE
from creative4u.selector.judge import Judge, PairRequest
from creative4u.selector.start import beginning, import_all


def evidence_hash() -> str:
    """32 hex digits that name the weights by which `evidence` rates images."""
    return file_hash(embedded_adapter() / PROBE)


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
    from creative4u.backbone.feature_cache import cache_vision
    from creative4u.backbone.names import base_folder
    from creative4u.selector.decoding.batch_invariant import with_exact

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


def start_judge(
    model: str | None = None,
    *others: str,
    request: PairRequest | None = None,
    concurrency: int = CONCURRENCY,
    patience: Patience | None = None,
    dtype: Dtype = "auto",
) -> Judge:
    """`load_judge` for a process that has just begun, in half the time.

    What looks at images is loaded beside the language model, and where there is a `request` its
    images are observed meanwhile. Nothing is done side by side while weights have to be fetched.
    """
    options: dict[str, Any] = {"concurrency": concurrency, "patience": patience, "dtype": dtype}
    if model is not None and is_url(model):
        return load_judge(model, *others, **options)
    with beginning():
        images, texts = _to_observe(model, request)
        try:
            if images:
                evidence().read_ahead(images)
            import_all()
            if images:
                evidence().look_ahead(images, texts)
            return load_judge(model, *others, **options)
        except BaseException:
            evidence().drop_ahead()
            raise


def _to_observe(
    model: str | None, request: PairRequest | None
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """Images and texts that load all that looks; none where the judge does not need all of it.

    None either where weights have to be fetched first: a progress bar at a time.
    """
    folder = embedded_adapter() if model is None else Path(model)
    config = read_config(folder) if folder.is_dir() else PAPER
    everything = config.observe == "probe" and config.use_title_match and config.use_ocr
    if not (everything and all(wheel.folder.is_dir() for wheel in WHEELS.values())):
        return (), ()
    if request is None:
        return (new_image("RGB", (MIN_SIDE, MIN_SIDE), "white"),), ("product",)
    return (request.image_a, request.image_b), (request.title, *request.queries)


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
    from creative4u.selector.backends.local import LocalBackend
    from creative4u.selector.decoding.batch_invariant import arithmetic_of

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
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    kind: Any = dtype if torch.cuda.is_available() else torch.float32  # `batch_invariant` rounds
    try:
        model = AutoModelForImageTextToText.from_pretrained(source, dtype=kind)
        return model, AutoProcessor.from_pretrained(source)
    except (OSError, ValueError) as error:  # no such model, or no vision-language model
        raise InputError(f"no model can be loaded from {source}: {error}") from error


def merged(folder: Path, dtype: Dtype = "auto") -> tuple[Any, Any]:
    """Base and adapter, merged in memory: float32 sums, so that nothing drifts (test: 1e-3)."""
    from creative4u.backbone.names import base_folder
    from creative4u.selector.lora import merged_lora

    base = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    model, processor = _loaded(base_folder(base["base_model_name_or_path"]), dtype)
    return merged_lora(model, folder), processor
