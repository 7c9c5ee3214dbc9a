"""Find what vLLM can serve for a model's name; merge an adapter with its base once and cache it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from creative4u.backbone.atomic import built_once
from creative4u.backbone.names import EMBEDDED, base_folder, embedded_adapter
from creative4u.backbone.wheels import home
from creative4u.errors import InputError
from creative4u.selector.config import FILE_NAME
from creative4u.selector.decoding import speculation
from creative4u.selector.loading import merged
from creative4u.serving.server.vllm_command import Servable

KEPT = (FILE_NAME, speculation.FILE_NAME)  # beside an adapter and beside the whole model
ADAPTER = ("adapter_config.json", "adapter_model.safetensors", *KEPT)


def servable(model: str | None = None) -> Servable:
    """The embedded model by default, a local folder (adapter or whole model) or a hub id.

    The name is that of the same model in process, so that a file of verdicts begun with the one
    goes on with the other. Raises InputError (no such model), AssetError (the base is not to be
    had, or the cache cannot be written).
    """
    folder = embedded_adapter() if model is None else Path(model)
    name = EMBEDDED if model is None else model
    if (folder / ADAPTER[0]).is_file():
        return Servable(str(merged_folder(folder)), name)
    if model is None:
        raise InputError(f"the package holds no weights of {EMBEDDED}; give --model")
    source = base_folder(model)
    return Servable(str(Path(source).resolve()) if Path(source).is_dir() else source, name)


def merged_folder(adapter: Path) -> Path:
    """An adapter and its base as one model in the cache folder, with processor and judge config.

    Named by what went in: another adapter, config or base is another folder.
    """
    base = json.loads((adapter / ADAPTER[0]).read_text("utf-8"))["base_model_name_or_path"]
    digest = hashlib.sha256(base_folder(base).encode())
    for name in ADAPTER:
        if (adapter / name).is_file():
            digest.update(name.encode() + (adapter / name).read_bytes())
    target = home() / "merged" / f"{adapter.resolve().name}-{digest.hexdigest()[:12]}"
    with built_once(target) as building:
        if building is not None:
            model, processor = merged(adapter)
            model.save_pretrained(building)
            processor.save_pretrained(building)
            for name in KEPT:
                if (adapter / name).is_file():
                    shutil.copyfile(adapter / name, building / name)
    return target
