"""Run an Idefics3 vision-language model bidirectionally as the encoder's backbone.

The first layers of the composed base (or of any Idefics3) without the causal mask: image tokens
and words attend to each other in both directions (MOON, arXiv 2511.11305).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from creative4u.backbone.names import base_folder
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.experts import ModalityExperts


class VLMBackbone(nn.Module):
    """`base` is a name of `backbone.names`, a folder or a hub id; `layers` keeps the first N."""

    def __init__(self, base: str = "creative4u-160m-x4", layers: int = 4) -> None:
        super().__init__()
        from transformers import AutoModel, AutoProcessor

        folder = base_folder(base)
        self.processor: Any = AutoProcessor.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32)
        stack = self.model.text_model.layers
        if not 1 <= layers <= len(stack):
            raise ValueError(f"got layers={layers}; {base} has 1 to {len(stack)}")
        del stack[layers:]
        self.model.vision_model.requires_grad_(False)
        self.width = int(self.model.config.text_config.hidden_size)

    def experts(self) -> list[ModalityExperts]:
        """The upcycled FFN layers, lowest first."""
        return [part for part in self.modules() if isinstance(part, ModalityExperts)]

    def upcycle(self, top: int, experts: int, rank: int, guided: int) -> None:
        """Replace the dense FFN of the `top` last layers by experts."""
        for layer in list(self.model.text_model.layers)[-top:] if top else []:
            layer.mlp = ModalityExperts(layer.mlp, self.width, experts, rank, guided)

    def collate(self, contents: Sequence[Content]) -> dict[str, Tensor]:
        """Token ids (N, T), their mask, and pixels (images, 1, 3, 224, 224) of the images."""
        rows = [self._one(content) for content in contents]
        longest = max(len(row["input_ids"][0]) for row in rows)
        ids = torch.full((len(rows), longest), int(self.model.config.pad_token_id or 0))
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for place, row in enumerate(rows):
            length = row["input_ids"].shape[1]
            ids[place, :length] = row["input_ids"][0]
            mask[place, :length] = True
        batch = {"input_ids": ids, "mask": mask}
        pixels = [row["pixel_values"] for row in rows if "pixel_values" in row]
        return batch | ({"pixels": torch.cat(pixels)} if pixels else {})

    def _one(self, content: Content) -> dict[str, Tensor]:
        words = (content.text or "").replace("<image>", " ")
        if content.image is None:
            found = self.processor.tokenizer(words, return_tensors="pt")
            return {"input_ids": found["input_ids"]}
        found = self.processor(
            text="<image>" + words, images=[content.open_image()], return_tensors="pt"
        )
        return {"input_ids": found["input_ids"], "pixel_values": found["pixel_values"]}

    def forward(
        self, input_ids: Tensor, mask: Tensor, pixels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Hidden states (N, T, W) and the mask (N, T) of the tokens that count."""
        for part in self.experts():
            part.mask = mask
        embedded = self.model.text_model.get_input_embeddings()(input_ids)
        if pixels is not None:
            features = self.model.get_image_features(pixels).pooler_output  # (images, tokens, W)
            place = input_ids == self.model.config.image_token_id
            embedded = embedded.masked_scatter(place[..., None], features.to(embedded))
        both_ways = mask[:, None, None, :].expand(-1, 1, mask.shape[1], -1)  # (N, 1, T, T)
        found = self.model.text_model(
            inputs_embeds=embedded, attention_mask=both_ways, use_cache=False
        )
        return found.last_hidden_state, mask
