"""Read and write embedding tables by creative and query id as one safetensors file.

The file holds `creative_ids`, `query_ids` (integers) and any of `visual` (N, Dv), `multimodal`
(N, Dr) and `query` (Q, Dr): what a visual encoder or MOON wrote. Creatives that it lacks get zeros
and are counted; the model knows them as having no image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

from creative4u.ctr.log.fields import Counts, Vocabulary
from creative4u.errors import InputError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Embeddings:
    """What is known of N creatives and Q queries; a width of 0 stands for nothing known."""

    creative_ids: NDArray[Any]
    query_ids: NDArray[Any]
    visual: Floats  # (N, Dv)
    multimodal: Floats  # (N, Dr)
    query: Floats  # (Q, Dr)

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ("creative_ids", "query_ids", "visual", "multimodal", "query")
        save_file({name: np.ascontiguousarray(getattr(self, name)) for name in names}, path)


def load_embeddings(path: Path) -> Embeddings:
    """Read a file that `save` or an exporter wrote; raises InputError naming what is wrong."""
    try:
        table = load_file(path)
        creative_ids = table["creative_ids"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: no embeddings file: {error}") from error
    count = len(creative_ids)
    nothing = np.zeros((count, 0), np.float32)
    query_ids = table.get("query_ids", np.empty(0, np.int64))
    multimodal = table.get("multimodal", nothing)
    unknown = np.zeros((len(query_ids), multimodal.shape[1]), np.float32)
    found = Embeddings(
        creative_ids,
        query_ids,
        table.get("visual", nothing),
        multimodal,
        table.get("query", unknown),
    )
    if len(found.visual) != count or len(found.multimodal) != count:
        raise InputError(f"{path}: {count} creative ids, but {len(found.visual)} visual and "
                         f"{len(found.multimodal)} multimodal rows")  # fmt: skip
    if found.query.shape[1] != found.multimodal.shape[1]:
        raise InputError(f"{path}: queries are {found.query.shape[1]} wide, creatives "
                         f"{found.multimodal.shape[1]}; both live in one space")  # fmt: skip
    return found


def by_number(
    vectors: Floats, ids: NDArray[Any], vocabulary: Vocabulary, counts: Counts | None = None
) -> Tensor:
    """(N, D) rows by id to (V, D) rows by vocabulary number; zeros where there is no vector."""
    table = np.zeros((vocabulary.size, vectors.shape[1]), np.float32)
    if vectors.shape[1]:
        number = vocabulary.numbers(ids)
        table[number] = np.nan_to_num(vectors)
        table[0] = 0
        if counts is not None:
            counts.missing_images = int((~table[1:].any(axis=1)).sum())
    return torch.from_numpy(table)


def principal(vectors: Floats, width: int, rows: NDArray[np.int64]) -> Floats:
    """(N, D) on the first `width` principal axes of `rows`, uncentred, so that cosines survive."""
    _, _, axes = np.linalg.svd(vectors[rows], full_matrices=False)
    turned: Floats = (vectors @ axes[:width].T).astype(np.float32)
    return turned
