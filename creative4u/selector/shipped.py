"""Name what ships inside the package: the adapter, its name, and what is judged of it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

EMBEDDED = "Creative4U-160M"


def embedded_adapter() -> Path:
    """The folder of the shipped adapter, inside the package."""
    with resources.as_file(resources.files("creative4u.selector") / "weights") as folder:
        return folder
