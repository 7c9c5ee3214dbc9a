"""Run Qwen2.5-VL bidirectionally as the encoder's backbone, the kind that the papers use.

The first layers without the causal mask, with the three-dimensional positions that the model was
trained with. Tokenizer and image processor are loaded separately: the joint processor also needs a
video reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from creative4u.backbone.names import base_folder
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.experts import ModalityExperts

BEFORE, IMAGE, AFTER = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"


class QwenBackbone(nn.Module):
    """`base` is a folder or hub id of a Qwen2.5-VL; `layers` keeps the first N of its layers."""

    def __init__(self, base: str = "Qwen/Qwen2.5-VL-7B-Instruct", layers: int = 28) -> None:
        super().__init__()
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        folder = base_folder(base)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.images: Any = AutoImageProcessor.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32)
        stack = self.model.language_model.layers
        if not 1 <= layers <= len(stack):
            raise ValueError(f"got layers={layers}; {base} has 1 to {len(stack)}")
        del stack[layers:]
        self.model.visual.requires_grad_(False)
        self.width = int(self.model.config.text_config.hidden_size)

    def experts(self) -> list[ModalityExperts]:
        """The upcycled FFN layers, lowest first."""
        return [part for part in self.modules() if isinstance(part, ModalityExperts)]

    def upcycle(self, top: int, experts: int, rank: int, guided: int) -> None:
        """Replace the dense FFN of the `top` last layers by experts."""
        for layer in list(self.model.language_model.layers)[-top:] if top else []:
            layer.mlp = ModalityExperts(layer.mlp, self.width, experts, rank, guided)

    def collate(self, contents: Sequence[Content]) -> dict[str, Tensor]:
        """Token ids (N, T), their mask, patches of all images and their grids (pictures, 3)."""
        pictures = [content.open_image() for content in contents if content.image is not None]
        features = self.images(images=pictures, return_tensors="pt") if pictures else {}
        grids = [tuple(map(int, grid)) for grid in features["image_grid_thw"]] if pictures else []
        place = iter(grids)
        merge = self.model.config.vision_config.spatial_merge_size**2
        rows = [
            self._ids(one, next(place) if one.image is not None else None, merge)
            for one in contents
        ]
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), int(self.tokenizer.pad_token_id or 0))
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = True
        batch = {"input_ids": ids, "mask": mask}
        if not pictures:
            return batch
        return batch | {"pixels": features["pixel_values"], "grid": features["image_grid_thw"]}

    def _ids(self, content: Content, grid: tuple[int, ...] | None, merge: int) -> list[int]:
        words = content.text or ""
        for mark in (BEFORE, IMAGE, AFTER):  # typed text must not count as an image
            words = words.replace(mark, " ")
        if grid is not None:
            count = grid[0] * grid[1] * grid[2] // merge
            words = BEFORE + IMAGE * count + AFTER + words
        found: list[int] = self.tokenizer(words)["input_ids"]
        return found

    def forward(
        self,
        input_ids: Tensor,
        mask: Tensor,
        pixels: Tensor | None = None,
        grid: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Hidden states (N, T, W) and the mask (N, T) of the tokens that count."""
        for part in self.experts():
            part.mask = mask
        language = self.model.language_model
        embedded = language.get_input_embeddings()(input_ids)
        place = input_ids == self.model.config.image_token_id
        positions = None
        if pixels is not None:
            features = torch.cat(list(self.model.get_image_features(pixels, grid).pooler_output))
            embedded = embedded.masked_scatter(place[..., None], features.to(embedded))
            positions, _ = self.model.get_rope_index(
                input_ids, place.int(), image_grid_thw=grid, attention_mask=mask.long()
            )
        both_ways = mask[:, None, None, :].expand(-1, 1, mask.shape[1], -1)  # (N, 1, T, T)
        found = language(
            inputs_embeds=embedded,
            attention_mask={"full_attention": both_ways, "sliding_attention": both_ways},
            position_ids=positions,
            use_cache=False,
        )
        return found.last_hidden_state, mask
