"""Contents in, hidden states out: a small transformer over frozen features.

Six tokens at most: DINOv2's CLS and product patches, the class names of the image and of its
product crop (ConSE), and MiniLM's sentence. At its start the class and sentence tokens are ConSE's
vectors and everything else is zero, so that an untrained encoder is ConSE and training only adds.
With a `look` part it is ConSE and DINOv2 side by side; `still` keeps the sentence out of training.
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
from creative4u.moon.encoder.content import Content, Looked
from creative4u.moon.encoder.experts import ModalityExperts
from creative4u.moon.encoder.feature_store import CLASSES, IMAGE_WIDTH, TEXT_WIDTH, FeatureStore

TOKENS = 5  # CLS, product, classes, classes of the crop, sentence
DINO_WIDTH = (IMAGE_WIDTH - 2 * CLASSES) // 2
TOP = 50  # class names that describe an image; 50 found more than 10 on photographs


# How much, where a title has the length one, an item's image counts in what the item means; and
# how much a look counts in an image's vector, and in an item's. Chosen on a validation cut.
SHARES = (0.3, 3.0, 0.5)


LOUDER = 8.0  # class shares beside levelled tokens, which are 20 long: else they learn too slowly


class Block(nn.Module):
    """Bidirectional self-attention and an FFN, both added to what comes in, both zero at first."""

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
        seen = nn.functional.scaled_dot_product_attention(q, k, v, mask[:, None, None])
        hidden = hidden + self.out(seen.transpose(1, 2).reshape(rows, tokens, width))
        levelled = self.norm2(hidden)
        experts = isinstance(self.mlp, ModalityExperts)
        result: Tensor = hidden + (self.mlp(levelled, mask) if experts else self.mlp(levelled))
        return result


class FeaturesBackbone(nn.Module):
    """The practical backbone; `width` is that of the sentence vectors."""

    def __init__(
        self,
        layers: int = 2,
        heads: int = 6,
        hidden: int = 384,
        store: FeatureStore | None = None,
        look: int = 0,
        still: bool = False,
    ) -> None:
        super().__init__()
        self.width = TEXT_WIDTH
        self.store = FeatureStore() if store is None else store
        self.classes = nn.Linear(CLASSES, self.width, bias=False)
        self.dino = nn.Linear(DINO_WIDTH, self.width)
        self.text = nn.Linear(TEXT_WIDTH, self.width)
        self.place = nn.Parameter(torch.zeros(TOKENS, self.width))
        self.blocks = nn.ModuleList(Block(self.width, heads, hidden) for _ in range(layers))
        for parameter in self.dino.parameters():
            nn.init.zeros_(parameter)
        self.still = still
        self.text.requires_grad_(not still)
        self.look = nn.Linear(IMAGE_WIDTH, look, bias=False) if look else None
        self.told = nn.Linear(IMAGE_WIDTH, self.width) if look else None
        if self.told is not None:
            nn.init.zeros_(self.told.weight)
            nn.init.zeros_(self.told.bias)
            # not trained: a contrast over texts and images would trade looks for names
            self.shares = nn.Parameter(torch.tensor(SHARES), requires_grad=False)

    def start_from_conse(self) -> Tensor:
        """Set the class and sentence tokens to ConSE's own maps (fetches the wheels).

        Returns the rotation (384, 384) to the principal axes of the class names, strongest first:
        the first dimensions of a vector then carry most (Matryoshka).
        """
        vectors = ConSE(top_k=1).from_probabilities(np.eye(CLASSES, dtype=np.float32))
        with torch.no_grad():
            self.classes.weight.copy_(torch.from_numpy(np.ascontiguousarray(vectors.T)))
            self.text.weight.copy_(torch.eye(self.width))
            self.text.bias.copy_(torch.from_numpy(-mean_of_names()))
            if self.look is not None:  # CLS as it is
                self.look.weight.copy_(torch.eye(*self.look.weight.shape))
        _, axes = np.linalg.eigh(vectors.T @ vectors)
        return torch.from_numpy(np.ascontiguousarray(axes[:, ::-1].T))

    def centre(self, image: Tensor) -> None:
        """Take off what all the images (N, 2768) mean alike, so that no title is near to all."""
        names = self._names(image).mean(0)  # (2, W)
        with torch.no_grad():
            self.place[2 : TOKENS - 1] -= names

    def experts(self) -> list[ModalityExperts]:
        """The FFN layers that were upcycled, from below."""
        return [part for part in self.modules() if isinstance(part, ModalityExperts)]

    def upcycle(self, top: int, experts: int, rank: int, guided: int) -> None:
        """Replace the dense FFN of the `top` last blocks by experts."""
        for block in list(self.blocks)[-top:] if top else []:
            assert isinstance(block, Block)
            block.mlp = ModalityExperts(block.mlp, self.width, experts, rank, guided)

    def collate(self, contents: Sequence[Content]) -> dict[str, Tensor]:
        """Frozen features of N contents, see `collate`."""
        return collate(self.store, contents)

    def forward(self, image: Tensor, text: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (N, 5, W) and the mask (N, 5) of the tokens that count."""
        names = self._names(image)  # (N, 2, W)
        seen = self.dino(_levelled(image))  # (N, 2, W)
        if self.told is not None:  # all of it on the first token: the tokens of an image are added
            more = self.told(self.look_inputs(image))
            seen = torch.stack([seen[:, 0] + more, seen[:, 1]], dim=1)
        said = nn.functional.normalize(self.text(text), dim=-1)[:, None]  # (N, 1, W)
        hidden = torch.cat([seen, names, said], dim=1) + self.place
        mask = torch.cat([there[:, :1].expand(-1, TOKENS - 1), there[:, 1:]], dim=1)
        hidden = hidden * mask[..., None]
        for block in self.blocks:
            hidden = block(hidden, mask)
        if self.still:
            hidden = torch.cat([hidden[:, :-1], said * there[:, 1:, None]], dim=1)
        return hidden, mask

    def _names(self, image: Tensor) -> Tensor:
        """ConSE's vectors of the image and of its product crop, (N, 2, W)."""
        shares = image[:, 2 * DINO_WIDTH :].reshape(-1, 2, CLASSES)
        return nn.functional.normalize(self.classes(_strongest(shares)), dim=-1)

    @staticmethod
    def look_inputs(image: Tensor) -> Tensor:
        """What a look is told from, (N, 2768) each."""
        shares = image[:, 2 * DINO_WIDTH :].clamp_min(0).sqrt() * LOUDER
        return torch.cat([_levelled(image).flatten(1), shares], dim=1)

    def looks(self, image: Tensor, there: Tensor) -> Tensor:
        """(N, look): what an image looks like, of the length of its share; zero without one."""
        assert self.look is not None
        seen = self.look(self.look_inputs(image))
        share = torch.where(there[:, 1:], self.shares[2], self.shares[1]) * there[:, :1]
        return nn.functional.normalize(seen, dim=-1) * share

    def pooled(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(N, W): the mean token of the image and the sentence, each at length one, added.

        A plain mean over the tokens would count an image four times and a title once (our choice;
        the papers' language models see many tokens of either).
        """
        weight = mask[..., None].to(hidden)
        image = (hidden * weight)[:, :-1].sum(1)  # (N, W)
        text = (hidden * weight)[:, -1]
        normalize = nn.functional.normalize  # a part that is not there stays zero
        share = torch.where(mask[:, -1:], self.shares[0], 1.0) if self.look is not None else 1.0
        return share * normalize(image, dim=-1) + normalize(text, dim=-1)


def _levelled(image: Tensor) -> Tensor:
    """The CLS token and the product's mean patch of (N, 2768), each levelled: (N, 2, 384)."""
    dino = image[:, : 2 * DINO_WIDTH].reshape(-1, 2, DINO_WIDTH)
    return nn.functional.layer_norm(dino, (DINO_WIDTH,))


def _strongest(probabilities: Tensor) -> Tensor:
    """The square root of the TOP largest of (..., 1000) probabilities, the rest zero."""
    best = probabilities.topk(TOP, dim=-1)
    return torch.zeros_like(probabilities).scatter(-1, best.indices, best.values.sqrt())


def collate(store: FeatureStore, contents: Sequence[Content]) -> dict[str, Tensor]:
    """Frozen features: image (N, 2768), text (N, 384) and which of the two are there (N, 2)."""
    image = np.zeros((len(contents), IMAGE_WIDTH), np.float32)
    text = np.zeros((len(contents), TEXT_WIDTH), np.float32)
    files = {row: one.image for row, one in enumerate(contents) if isinstance(one.image, Path)}
    for row, one in enumerate(contents):
        if isinstance(one.image, Looked):
            image[row] = one.image.row
    loose = [row for row, one in enumerate(contents) if isinstance(one.image, Image.Image)]
    if files:
        image[list(files)] = store.files(list(files.values()), load_image)
    if loose:
        image[loose] = store.images([contents[row].picture() for row in loose])
    said = {row: one.text for row, one in enumerate(contents) if one.text}
    if said:
        text[list(said)] = store.texts(list(said.values()))
    there = [[one.image is not None, bool(one.text)] for one in contents]
    return {
        "image": torch.from_numpy(image),
        "text": torch.from_numpy(text),
        "there": torch.tensor(there).reshape(-1, 2),
    }
