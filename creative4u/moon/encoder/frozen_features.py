"""Encode frozen features with a small transformer: the backbone of the encoder that ships.

Five tokens: DINOv2's CLS and product patches, the class names of the image and of its product crop
(ConSE), and MiniLM's sentence. At the start, the class and sentence tokens are ConSE's vectors and
everything else is zero: an untrained encoder is ConSE, training adds to it. With `visual_dim` a
vector also gets a visual part, which starts as DINOv2. `freeze_text` keeps the sentence's map out
of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from creative4u.backbone.conse import ConSE, mean_of_names
from creative4u.images import load_image
from creative4u.moon.encoder.content import CachedFeatures, Content
from creative4u.moon.encoder.experts import ModalityExperts
from creative4u.moon.encoder.feature_store import CLASSES, IMAGE_WIDTH, TEXT_WIDTH, FeatureStore

HEADS, HIDDEN = 6, 384  # of a block
TOKENS = 5  # CLS, product, classes, classes of the crop, sentence
DINO_WIDTH = (IMAGE_WIDTH - 2 * CLASSES) // 2
TOP = 50  # class names that describe an image; 50 found more than 10 on photographs


# Lengths before normalisation: the image in an item's shared part (its title counts 1), the visual
# part in an image's vector, the visual part in an item's. Chosen on the validation cut.
SHARES = (0.3, 3.0, 0.5)
CLASS_SCALE = 8.0  # class shares beside normalised tokens of length 20: else they learn too slowly


class Block(nn.Module):
    """Bidirectional self-attention and an FFN, residual, both zero at the start."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp: nn.Module = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
        )
        for last in (self.out, self.mlp.get_submodule("2")):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, T, W) and (B, T) to (B, T, W)."""
        rows, tokens, width = hidden.shape
        qkv = self.qkv(self.norm1(hidden)).reshape(rows, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, W / H) each
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, mask[:, None, None])
        hidden = hidden + self.out(mixed.transpose(1, 2).reshape(rows, tokens, width))
        normalised = self.norm2(hidden)
        experts = isinstance(self.mlp, ModalityExperts)
        result: Tensor = hidden + (self.mlp(normalised, mask) if experts else self.mlp(normalised))
        return result


class FeaturesBackbone(nn.Module):
    """The backbone over frozen features; `width` is that of the sentence vectors (384)."""

    def __init__(
        self,
        layers: int = 2,
        store: FeatureStore | None = None,
        visual_dim: int = 0,
        freeze_text: bool = False,
    ) -> None:
        super().__init__()
        self.width = TEXT_WIDTH
        self.store = FeatureStore() if store is None else store
        self.classes = nn.Linear(CLASSES, self.width, bias=False)
        self.dino = nn.Linear(DINO_WIDTH, self.width)
        self.text = nn.Linear(TEXT_WIDTH, self.width)
        self.place = nn.Parameter(torch.zeros(TOKENS, self.width))
        self.blocks = nn.ModuleList(Block(self.width, HEADS, HIDDEN) for _ in range(layers))
        for parameter in self.dino.parameters():
            nn.init.zeros_(parameter)
        self.freeze_text = freeze_text
        self.text.requires_grad_(not freeze_text)
        self.visual_head = nn.Linear(IMAGE_WIDTH, visual_dim, bias=False) if visual_dim else None
        self.text_correction = nn.Linear(IMAGE_WIDTH, self.width) if visual_dim else None
        if self.text_correction is not None:
            nn.init.zeros_(self.text_correction.weight)
            nn.init.zeros_(self.text_correction.bias)
            # not trained: a contrast of texts and images would weaken the visual part
            self.shares = nn.Parameter(torch.tensor(SHARES), requires_grad=False)

    def start_from_conse(self) -> Tensor:
        """Set the class and sentence tokens to ConSE's maps; downloads ConSE's models.

        Returns the rotation (384, 384) to the principal axes of the class names, largest variance
        first, so that the first dimensions carry most (Matryoshka).
        """
        vectors = ConSE(top_k=1).from_probabilities(np.eye(CLASSES, dtype=np.float32))
        with torch.no_grad():
            self.classes.weight.copy_(torch.from_numpy(np.ascontiguousarray(vectors.T)))
            self.text.weight.copy_(torch.eye(self.width))
            self.text.bias.copy_(torch.from_numpy(-mean_of_names()))
            if self.visual_head is not None:  # the CLS token unchanged
                self.visual_head.weight.copy_(torch.eye(*self.visual_head.weight.shape))
        _, axes = np.linalg.eigh(vectors.T @ vectors)
        return torch.from_numpy(np.ascontiguousarray(axes[:, ::-1].T))

    def centre(self, image: Tensor) -> None:
        """Subtract the mean class tokens of images (N, 2768): no title is then near to all."""
        names = self._class_tokens(image).mean(0)  # (2, W)
        with torch.no_grad():
            self.place[2 : TOKENS - 1] -= names

    def experts(self) -> list[ModalityExperts]:
        """The upcycled FFN layers, lowest first."""
        return [part for part in self.modules() if isinstance(part, ModalityExperts)]

    def upcycle(self, top: int, experts: int, rank: int, guided: int) -> None:
        """Replace the dense FFN of the last `top` blocks by experts."""
        for block in list(self.blocks)[-top:] if top else []:
            assert isinstance(block, Block)
            block.mlp = ModalityExperts(block.mlp, self.width, experts, rank, guided)

    def collate(self, contents: Sequence[Content]) -> dict[str, Tensor]:
        """Batch the frozen features of N contents."""
        return collate(self.store, contents)

    def forward(self, image: Tensor, text: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (N, 5, W) and the mask (N, 5) of the tokens that count."""
        names = self._class_tokens(image)  # (N, 2, W)
        visual = self.dino(_normalised(image))  # (N, 2, W)
        if self.text_correction is not None:  # on one token: pooling adds up an image's tokens
            more = self.text_correction(self.visual_inputs(image))
            visual = torch.stack([visual[:, 0] + more, visual[:, 1]], dim=1)
        sentence = nn.functional.normalize(self.text(text), dim=-1)[:, None]  # (N, 1, W)
        hidden = torch.cat([visual, names, sentence], dim=1) + self.place
        mask = torch.cat([present[:, :1].expand(-1, TOKENS - 1), present[:, 1:]], dim=1)
        hidden = hidden * mask[..., None]
        for block in self.blocks:
            hidden = block(hidden, mask)
        if self.freeze_text:
            hidden = torch.cat([hidden[:, :-1], sentence * present[:, 1:, None]], dim=1)
        return hidden, mask

    def _class_tokens(self, image: Tensor) -> Tensor:
        """ConSE's vectors of the image and of its product crop, (N, 2, W)."""
        shares = image[:, 2 * DINO_WIDTH :].reshape(-1, 2, CLASSES)
        return nn.functional.normalize(self.classes(_sqrt_of_top(shares)), dim=-1)

    @staticmethod
    def visual_inputs(image: Tensor) -> Tensor:
        """Inputs (N, 2768) of the visual head and the text correction."""
        shares = image[:, 2 * DINO_WIDTH :].clamp_min(0).sqrt() * CLASS_SCALE
        return torch.cat([_normalised(image).flatten(1), shares], dim=1)

    def visual_vectors(self, image: Tensor, present: Tensor) -> Tensor:
        """The visual part (N, visual_dim), scaled by its share; zero where there is no image."""
        assert self.visual_head is not None
        visual = self.visual_head(self.visual_inputs(image))
        share = torch.where(present[:, 1:], self.shares[2], self.shares[1]) * present[:, :1]
        return nn.functional.normalize(visual, dim=-1) * share

    def pooled(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Pool (N, W) by modality: normalise the image's token sum and the sentence, and add both.

        A plain mean over the tokens would count an image four times and a title once (our choice;
        the papers' language models have many tokens of either).
        """
        weight = mask[..., None].to(hidden)
        image = (hidden * weight)[:, :-1].sum(1)  # (N, W)
        text = (hidden * weight)[:, -1]
        normalize = nn.functional.normalize  # a missing part stays zero
        share = (
            torch.where(mask[:, -1:], self.shares[0], 1.0) if self.visual_head is not None else 1.0
        )
        return share * normalize(image, dim=-1) + normalize(text, dim=-1)


def _normalised(image: Tensor) -> Tensor:
    """Layer-normalise the CLS token and the product's mean patch of (N, 2768): (N, 2, 384)."""
    dino = image[:, : 2 * DINO_WIDTH].reshape(-1, 2, DINO_WIDTH)
    return nn.functional.layer_norm(dino, (DINO_WIDTH,))


def _sqrt_of_top(probabilities: Tensor) -> Tensor:
    """The square root of the TOP largest of (..., 1000) probabilities, the rest zero."""
    best = probabilities.topk(TOP, dim=-1)
    return torch.zeros_like(probabilities).scatter(-1, best.indices, best.values.sqrt())


def collate(store: FeatureStore, contents: Sequence[Content]) -> dict[str, Tensor]:
    """Batch frozen features: image (N, 2768), text (N, 384) and which are present (N, 2)."""
    image = np.zeros((len(contents), IMAGE_WIDTH), np.float32)
    text = np.zeros((len(contents), TEXT_WIDTH), np.float32)
    files = {row: one.image for row, one in enumerate(contents) if isinstance(one.image, Path)}
    for row, one in enumerate(contents):
        if isinstance(one.image, CachedFeatures):
            image[row] = one.image.row
    loose = [row for row, one in enumerate(contents) if isinstance(one.image, Image.Image)]
    if files:
        image[list(files)] = store.files(list(files.values()), load_image)
    if loose:
        image[loose] = store.images([contents[row].open_image() for row in loose])
    texts = {row: one.text for row, one in enumerate(contents) if one.text}
    if texts:
        text[list(texts)] = store.texts(list(texts.values()))
    present = [[one.image is not None, bool(one.text)] for one in contents]
    return {
        "image": torch.from_numpy(image),
        "text": torch.from_numpy(text),
        "present": torch.tensor(present).reshape(-1, 2),
    }
