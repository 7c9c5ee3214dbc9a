"""Texts, images or both in, one normalised vector each out.

One interface over three backbones: `features` (a small transformer over frozen features, what
ships), `vlm` (the composed base or any Idefics3, made bidirectional) and `qwen` (Qwen2.5-VL, the
papers' kind). Vectors are Matryoshka: the first 32, 64, ... dimensions, normalised anew, are
vectors of their own (MOON, arXiv 2511.11305).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from creative4u.errors import InputError
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.experts import ModalityAlignment
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.encoder.frozen_features import FeaturesBackbone
from creative4u.moon.encoder.idefics3 import VLMBackbone
from creative4u.moon.encoder.matryoshka import truncate
from creative4u.moon.encoder.qwen2_5_vl import QwenBackbone

Array = npt.NDArray[np.float32]
SHIPPED = "weights/encoder.safetensors"
BATCH = 64


@dataclass(frozen=True)
class EncoderConfig:
    """Which encoder; `experts` 0 leaves the dense FFN (the ablation "without MoE").

    Over frozen features the last `look` of `dim` numbers say what an image looks like, the others
    what image and title mean; `still` keeps the sentence's own map as it is at the start.
    """

    backbone: Literal["features", "vlm", "qwen"] = "features"
    layers: int = 2
    base: str = "creative4u-160m-x4"  # vlm and qwen: a name, a folder or a hub id
    dim: int = 384
    dims: tuple[int, ...] = (32, 64, 128, 256, 384)
    expert_layers: int = 1
    experts: int = 4
    rank: int = 8
    guided: int = 0
    look: int = 0
    still: bool = False

    def __post_init__(self) -> None:
        if self.backbone not in ("features", "vlm", "qwen"):
            raise InputError(f"backbone is features, vlm or qwen, not {self.backbone!r}")
        if not self.dims or list(self.dims) != sorted(set(self.dims)) or self.dims[-1] != self.dim:
            raise InputError(f"dims must rise and end with {self.dim}, not {self.dims}")
        if (self.look or self.still) and self.backbone != "features":
            raise InputError("look and still are of the backbone over frozen features")
        if not 0 <= self.look < self.dim:
            raise InputError(f"look is 0 to {self.dim - 1}, not {self.look}")


# What begins as ConSE and DINOv2 side by side and learns a correction of what images say.
RESIDUAL = EncoderConfig(dim=768, dims=(32, 64, 128, 256, 384, 768), look=384, still=True)


@dataclass(frozen=True)
class Encoded:
    """Unit vectors (B, D), the experts' mean gates (B, Z) and the guided experts' words."""

    vectors: Tensor
    gates: Tensor
    guides: Tensor  # (B, guided, W)


class Encoder(nn.Module):
    """Backbone, mean pooling (by modality over frozen features), projection, normalisation."""

    def __init__(self, config: EncoderConfig, store: FeatureStore | None = None) -> None:
        super().__init__()
        self.config = config
        self.backbone: FeaturesBackbone | VLMBackbone | QwenBackbone
        if config.backbone == "features":
            self.backbone = FeaturesBackbone(
                config.layers, store=store, look=config.look, still=config.still
            )
        else:
            kind = VLMBackbone if config.backbone == "vlm" else QwenBackbone
            self.backbone = kind(config.base, config.layers)
        self.head = nn.Linear(self.backbone.width, config.dim - config.look, bias=False)
        self.head.weight.requires_grad_(not config.still)  # else it would turn the sentences too
        self.alignment = ModalityAlignment(max(config.experts, 1))
        if config.experts:
            self.backbone.upcycle(config.expert_layers, config.experts, config.rank, config.guided)

    def start(self) -> Encoder:
        """Give the features backbone its start, where it equals ConSE; a VLM is left as it is."""
        if isinstance(self.backbone, FeaturesBackbone):
            rotation = self.backbone.start_from_conse()
            with torch.no_grad():
                self.head.weight.copy_(rotation[: len(self.head.weight)])
        return self

    def start_from(self, contents: Sequence[Content]) -> Encoder:
        """`start`, and for a still sentence the images centred on those of `contents`."""
        self.start()
        if self.config.still and isinstance(self.backbone, FeaturesBackbone):
            self.backbone.centre(self.backbone.collate(contents)["image"])
        return self

    @property
    def meant(self) -> int:
        """How many of a vector's first numbers are comparable between images and texts."""
        return self.config.dim - self.config.look

    def meaning(self) -> list[nn.Parameter]:
        """What decides where an image stands among the sentences: all but its look."""
        return [
            value
            for name, value in self.backbone.named_parameters()
            if value.requires_grad and not name.startswith("look.")
        ]

    def forward(self, batch: Mapping[str, Tensor]) -> Encoded:
        """What `backbone.collate` gave, to vectors and gates."""
        hidden, mask = self.backbone(**batch)
        if isinstance(self.backbone, FeaturesBackbone):
            pooled = self.backbone.pooled(hidden, mask)  # (B, W)
        else:
            weight = mask[..., None].to(hidden)
            pooled = (hidden * weight).sum(1) / weight.sum(1)
        vectors = nn.functional.normalize(self.head(pooled), dim=-1)
        if self.config.look:
            assert isinstance(self.backbone, FeaturesBackbone)
            seen = self.backbone.looks(batch["image"], batch["there"])
            vectors = nn.functional.normalize(torch.cat([vectors, seen], dim=-1), dim=-1)
        layers = self.backbone.experts()
        if not layers:
            return Encoded(vectors, vectors.new_ones(len(vectors), 1), vectors.new_empty(0))
        gates = torch.stack([layer.gates for layer in layers]).mean(0)
        return Encoded(vectors, gates, layers[-1].guides)

    def encode(self, contents: Sequence[Content], dim: int | None = None) -> Array:
        """N contents to unit vectors (N, dim); independent of what else is in the batch."""
        self.eval()
        device = self.head.weight.device
        rows = []
        with torch.inference_mode():
            for start in range(0, len(contents), BATCH):
                batch = self.backbone.collate(contents[start : start + BATCH])
                moved = {k: v.to(device) for k, v in batch.items()}
                rows.append(self(moved).vectors.cpu())
        if not rows:
            return np.empty((0, dim or self.config.dim), np.float32)
        return truncate(torch.cat(rows), dim or self.config.dim).numpy()

    def own_state(self) -> dict[str, Tensor]:
        """What is worth saving: all but a frozen vision tower, which has its own file."""
        return {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.state_dict().items()
            if not _frozen(name)
        }

    def save(self, file: Path, half: bool = False) -> Path:
        """Weights and config as one safetensors file; `half` stores float16."""
        file.parent.mkdir(parents=True, exist_ok=True)
        state = {k: v.half() if half else v for k, v in self.own_state().items()}
        part = file.with_suffix(".part")
        save_file(state, part, metadata={"config": json.dumps(asdict(self.config))})
        part.replace(file)
        return file


def _frozen(name: str) -> bool:
    """Whether a parameter belongs to a vision tower, which comes with its base."""
    return ".vision_model." in name or ".visual." in name


def load_encoder(file: Path | None = None, store: FeatureStore | None = None) -> Encoder:
    """The encoder in `file`; the one that ships by default. Raises InputError."""
    source = file or Path(str(resources.files("creative4u.moon").joinpath(SHIPPED)))
    if not source.is_file():
        raise InputError(f"no encoder at {source}; train one or give --encoder FILE")
    with safe_open(str(source), "pt") as opened:
        stored = (opened.metadata() or {}).get("config")
    if stored is None:
        raise InputError(f"{source} holds no encoder: its metadata lack the config")
    settings: dict[str, Any] = json.loads(stored)
    encoder = Encoder(EncoderConfig(**settings | {"dims": tuple(settings["dims"])}), store)
    state = {name: tensor.float() for name, tensor in load_file(source).items()}
    missing, unknown = encoder.load_state_dict(state, strict=False)
    if unknown or not all(map(_frozen, missing)):
        raise InputError(f"{source} does not fit its own config")
    return encoder.eval()
