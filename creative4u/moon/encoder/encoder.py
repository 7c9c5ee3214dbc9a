"""Embed texts, images or both as one unit vector each.

One interface over three backbones: `features` (a small transformer over frozen features, ships),
`vlm` (the composed base or any Idefics3, bidirectional) and `qwen` (Qwen2.5-VL, the papers' kind).
Vectors are Matryoshka: the first 32, 64, ... dimensions, normalised again, are vectors too (MOON,
arXiv 2511.11305).
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
    """Which encoder. Raises InputError for values that do not fit together.

    Over frozen features the last `visual_dim` of `dim` numbers compare images only; the others are
    shared by images and texts. `freeze_text` keeps the sentence's map untrained. `experts` 0 leaves
    the dense FFN (the ablation "without MoE").
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
    visual_dim: int = 0
    freeze_text: bool = False

    def __post_init__(self) -> None:
        if self.backbone not in ("features", "vlm", "qwen"):
            raise InputError(f"got backbone {self.backbone!r}; features, vlm and qwen are allowed")
        if not self.dims or list(self.dims) != sorted(set(self.dims)) or self.dims[-1] != self.dim:
            raise InputError(f"got dims {self.dims}; they must rise and end with dim, {self.dim}")
        if (self.visual_dim or self.freeze_text) and self.backbone != "features":
            raise InputError(
                f"visual_dim and freeze_text need backbone features, not {self.backbone}"
            )
        if not 0 <= self.visual_dim < self.dim:
            raise InputError(f"got visual_dim {self.visual_dim}; 0 to {self.dim - 1} are allowed")


# Starts as ConSE and DINOv2 side by side; training corrects the images' shared part.
RESIDUAL = EncoderConfig(
    dim=768, dims=(32, 64, 128, 256, 384, 768), visual_dim=384, freeze_text=True
)
# Names in files that were saved before visual_dim and freeze_text were called so.
OLD_SETTINGS = {"look": "visual_dim", "still": "freeze_text"}
OLD_WEIGHTS = {
    "backbone.look.": "backbone.visual_head.",
    "backbone.told.": "backbone.text_correction.",
}


@dataclass(frozen=True)
class Encoded:
    """Unit vectors (B, D), the experts' mean gates (B, Z) and the guided experts' outputs."""

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
                config.layers, store, config.visual_dim, config.freeze_text
            )
        else:
            kind = VLMBackbone if config.backbone == "vlm" else QwenBackbone
            self.backbone = kind(config.base, config.layers)
        self.head = nn.Linear(self.backbone.width, config.dim - config.visual_dim, bias=False)
        self.head.weight.requires_grad_(not config.freeze_text)  # it moves the sentences too
        self.alignment = ModalityAlignment(max(config.experts, 1))
        if config.experts:
            self.backbone.upcycle(config.expert_layers, config.experts, config.rank, config.guided)

    def start(self) -> Encoder:
        """Set a features backbone to its start, where it equals ConSE; leave a VLM as it is."""
        if isinstance(self.backbone, FeaturesBackbone):
            rotation = self.backbone.start_from_conse()
            with torch.no_grad():
                self.head.weight.copy_(rotation[: len(self.head.weight)])
        return self

    def start_from(self, contents: Sequence[Content]) -> Encoder:
        """Like `start`; with frozen text, also centre image vectors on the images of `contents`."""
        self.start()
        if self.config.freeze_text and isinstance(self.backbone, FeaturesBackbone):
            self.backbone.centre(self.backbone.collate(contents)["image"])
        return self

    @property
    def shared_dim(self) -> int:
        """How many of a vector's first numbers are comparable between images and texts."""
        return self.config.dim - self.config.visual_dim

    def semantic_parameters(self) -> list[nn.Parameter]:
        """Trainable parameters of the part shared with texts: all but the visual head's."""
        return [
            value
            for name, value in self.backbone.named_parameters()
            if value.requires_grad and not name.startswith("visual_head.")
        ]

    def forward(self, batch: Mapping[str, Tensor]) -> Encoded:
        """Encode a batch of `backbone.collate`."""
        hidden, mask = self.backbone(**batch)
        if isinstance(self.backbone, FeaturesBackbone):
            pooled = self.backbone.pooled(hidden, mask)  # (B, W)
        else:
            weight = mask[..., None].to(hidden)
            pooled = (hidden * weight).sum(1) / weight.sum(1)
        vectors = nn.functional.normalize(self.head(pooled), dim=-1)
        if self.config.visual_dim:
            assert isinstance(self.backbone, FeaturesBackbone)
            visual = self.backbone.visual_vectors(batch["image"], batch["present"])
            vectors = nn.functional.normalize(torch.cat([vectors, visual], dim=-1), dim=-1)
        layers = self.backbone.experts()
        if not layers:
            return Encoded(vectors, vectors.new_ones(len(vectors), 1), vectors.new_empty(0))
        gates = torch.stack([layer.gates for layer in layers]).mean(0)
        return Encoded(vectors, gates, layers[-1].guides)

    def encode(self, contents: Sequence[Content], dim: int | None = None) -> Array:
        """Unit vectors (N, dim) of N contents; a vector does not depend on its batch."""
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
        """The weights to save: all but a frozen vision tower, which comes with its base."""
        return {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.state_dict().items()
            if not _frozen(name)
        }

    def save(self, file: Path, half: bool = False) -> Path:
        """Write weights and config as one safetensors file; `half` stores float16."""
        file.parent.mkdir(parents=True, exist_ok=True)
        state = {k: v.half() if half else v for k, v in self.own_state().items()}
        part = file.with_suffix(".part")
        save_file(state, part, metadata={"config": json.dumps(asdict(self.config))})
        part.replace(file)
        return file


def _frozen(name: str) -> bool:
    """Whether a parameter belongs to a vision tower."""
    return ".vision_model." in name or ".visual." in name


def load_encoder(file: Path | None = None, store: FeatureStore | None = None) -> Encoder:
    """Load the encoder in `file`, by default the one that ships. Raises InputError."""
    source = file or Path(str(resources.files("creative4u.moon").joinpath(SHIPPED)))
    if not source.is_file():
        raise InputError(f"no encoder at {source}; train one with `creative4u moon posttrain`")
    with safe_open(str(source), "pt") as opened:
        stored = (opened.metadata() or {}).get("config")
    if stored is None:
        raise InputError(f"{source} is no encoder: its metadata lack the config")
    loaded: dict[str, Any] = json.loads(stored)
    settings = {OLD_SETTINGS.get(name, name): value for name, value in loaded.items()}
    encoder = Encoder(EncoderConfig(**settings | {"dims": tuple(settings["dims"])}), store)
    state = with_new_names({name: part.float() for name, part in load_file(source).items()})
    missing, unknown = encoder.load_state_dict(state, strict=False)
    if unknown or not all(map(_frozen, missing)):
        raise InputError(f"{source}: its weights do not fit its config")
    return encoder.eval()


def with_new_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Map weight names of older files to today's."""
    return {
        next(
            (new + n.removeprefix(old) for old, new in OLD_WEIGHTS.items() if n.startswith(old)), n
        ): w
        for n, w in state.items()
    }
