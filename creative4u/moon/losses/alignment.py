"""Compute the dual-level alignment loss of triplets (MOON2.0, arXiv 2511.12449).

inter-product: InfoNCE of r_q^v against r_p^mm for v in {t, i, mm}, weighted by omega_v.
intra-product: InfoNCE of an item's image against its own text; the other item's text is the
negative.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from creative4u.moon.losses.infonce import info_nce


def inter_product(losses: Sequence[Tensor], omega: Tensor, weight: Tensor | None = None) -> Tensor:
    """sum_v omega_v mean_b( w_b l_vb ): one loss (B,) for each query modality.

    Args:
        losses: M tensors (B,), in the order of `experts.MODALITIES`.
        omega: (M,) from `ModalityAlignment.omega`.
        weight: (B,) from `filtering.weights`; all 1 by default. The mean is over all B rows: a
            down-weighted triplet counts less, the others do not count more.
    """
    rows = torch.stack(list(losses))  # (M, B)
    weighted = rows if weight is None else rows * weight
    return (omega * weighted.mean(1)).sum()


def intra_product(
    image: Tensor, text: Tensor, other_text: Tensor, temperature: float = 0.07
) -> Tensor:
    """(B,) InfoNCE losses of images (B, D) against their own texts, with one negative text each."""
    pair = torch.stack([text, other_text], dim=1)  # (B, 2, D)
    scores = torch.einsum("bd,bkd->bk", image, pair) / temperature
    return torch.nn.functional.cross_entropy(
        scores, torch.zeros(len(image), dtype=torch.long, device=image.device), reduction="none"
    )


def cross_modal(image: Tensor, text: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """(B,) mean of the losses of images against texts and of texts against images (CLIP)."""
    image_loss = info_nce(image, text, temperature=temperature, keys=keys)
    text_loss = info_nce(text, image, temperature=temperature, keys=keys)
    return (image_loss + text_loss) / 2
