"""Resolve a model's name to the folder or hub id that transformers loads."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from creative4u.errors import InputError

EMBEDDED = "Creative4U-160M"
BASES = {"creative4u-160m-x4": 4, "creative4u-160m-x2": 2}  # 16 and 64 tokens an image


def base_folder(name: str) -> str:
    """The composed base by its name (built on first use), a local folder, or a hub id as it is."""
    if name in BASES:
        from creative4u.backbone.compose import composed_base

        return str(composed_base(BASES[name]))
    if Path(name).is_dir():
        return name
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise InputError(
            f"no model {name!r}; allowed are {', '.join(BASES)}, a local folder, "
            "or a hub id of the form owner/name"
        )
    return name


def embedded_adapter() -> Path:
    """The folder of the shipped adapter, inside the package."""
    with resources.as_file(resources.files("creative4u.selector") / "weights") as folder:
        return folder
