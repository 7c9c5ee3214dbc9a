"""Estimate the device memory that a recipe needs.

Run: creative4u rft memory grpo-qwen2.5-vl-7b

Parameters are counted on the model itself, built on the meta device from its config (a local
folder's, or SHAPES for hub models, so that nothing is downloaded). The rest is arithmetic:

- weights: 2 bytes each on a GPU (bfloat16), 4 on a CPU; GRPO's guided rollout keeps a second copy;
- trained parameters: 16 bytes each (float32 value, gradient, both moments of AdamW);
- activations: 34 hidden-sized bfloat16 half-words a token and layer (Korthikanti et al. 2022,
  section 4, flash attention), of one layer only and one input a layer where they are checkpointed
  (on a GPU), doubled in float32;
- logits: of every token at once in SFT (value, float32 copy, gradient), of one tile in GRPO;
- vision features of up to 4,096 images that Idefics3 runs keep (`policy.cached_vision`);
- vLLM (colocated): its own weights and the key-value cache of a step's completions; it sleeps while
  the update runs, so the need is the larger of the two, never their sum.

Fragmentation and the libraries' own buffers come on top: MARGIN.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, Qwen2_5_VLConfig, Qwen3VLConfig

from creative4u.backbone.names import BASES, base_folder
from creative4u.errors import InputError
from creative4u.selector.config import JudgeConfig
from rft.recipe import Recipe
from rft.training.policy import CACHED, TARGETS

GIB = 2**30
MARGIN = 1.15
CARDS = (16, 24, 40, 48, 80, 141)  # GiB of a GPU
TEXT_TOKENS = {"brief": 260, "full": 560}  # of a prompt with title, queries and facts
COMPLETION_TOKENS = 260
SINGLE_TOKENS = 60  # of a single image's prompt and target, without its image
TILE = 2048 * 8192 * 4 * 3  # bytes; TRL's chunk of tokens by vocabulary, three float32 tensors

SHAPES: dict[str, Any] = {
    "Qwen/Qwen2.5-VL-7B-Instruct": lambda: Qwen2_5_VLConfig(
        text_config={"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
                     "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064},
        vision_config={"depth": 32, "hidden_size": 1280, "intermediate_size": 3420,
                       "num_heads": 16, "out_hidden_size": 3584},
    ),
    "Qwen/Qwen3-VL-4B-Instruct": lambda: Qwen3VLConfig(
        text_config={"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
                     "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
                     "vocab_size": 151936},
        vision_config={"depth": 24, "hidden_size": 1024, "intermediate_size": 4096,
                       "num_heads": 16, "out_hidden_size": 2560, "patch_size": 16,
                       "deepstack_visual_indexes": [5, 11, 17]},
        tie_word_embeddings=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """Bytes by part on one device; `peak` is what is needed at once, margin included."""

    parameters: int
    trained: int
    tokens: int  # of one sequence, images included
    batch: int  # sequences of one forward and backward pass
    weights: int
    optimizer: int
    activations: int
    logits: int
    features: int
    vllm: int

    @property
    def peak(self) -> int:
        always = self.optimizer + self.weights + self.features
        return round(MARGIN * (always + max(self.activations + self.logits, self.vllm)))

    def told(self) -> dict[str, Any]:
        """GiB by part, and the smallest card that holds it."""
        parts = ("weights", "optimizer", "activations", "logits", "features", "vllm", "peak")
        gib = {f"{part}_gib": round(getattr(self, part) / GIB, 2) for part in parts}
        card = next((size for size in CARDS if size * GIB * 0.95 >= self.peak), None)
        counts = {k: v for k, v in asdict(self).items() if k in _COUNTS}
        return counts | gib | {"smallest_card_gib": card}


_COUNTS = ("parameters", "trained", "tokens", "batch")


def estimate(recipe: Recipe, gpu: bool, devices: int = 1) -> Estimate:
    """What each of `devices` needs for the recipe's heaviest stage."""
    config = _config(recipe.base)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    text = config.get_text_config()
    judge = JudgeConfig.model_validate(recipe.judge)
    parameters = sum(p.numel() for p in model.parameters())
    trained = trained_parameters(model, recipe)
    size = 2 if gpu else 4
    image = image_tokens(config, judge.image_side)
    pair = TEXT_TOKENS[judge.instructions] + 2 * image + COMPLETION_TOKENS
    shapes = [(pair, recipe.grpo.micro_batch)] if recipe.grpo else []
    for stage in recipe.stages:
        if stage.pairs:
            shapes.append((pair, stage.batch_size))
        if stage.singles:
            shapes.append((SINGLE_TOKENS + image, stage.batch_size))
    tokens, batch = max(shapes, key=lambda shape: shape[0] * shape[1])
    layer = 17 * text.hidden_size * size * tokens * batch  # 34 bytes in half precision
    inputs = text.hidden_size * size * tokens * batch * text.num_hidden_layers
    guided = recipe.grpo is not None and recipe.grpo.rollout == "guided"
    return Estimate(
        parameters=parameters,
        trained=trained,
        tokens=tokens,
        batch=batch,
        weights=parameters * size * (2 if guided else 1),
        optimizer=16 * trained,
        activations=inputs + layer if gpu else layer * text.num_hidden_layers,
        logits=TILE if recipe.grpo else tokens * batch * text.vocab_size * (size + 8),
        features=CACHED * _feature_bytes(config),
        vllm=_vllm(recipe, text, parameters, pair, devices) if gpu else 0,
    )


def trained_parameters(model: Any, recipe: Recipe) -> int:
    """LoRA on the language model's linear layers, and the connector where it is trained."""
    count = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and re.fullmatch(TARGETS, name):
            count += recipe.lora.rank * (module.in_features + module.out_features)
        if recipe.lora.connector and name.endswith("connector"):
            count += sum(p.numel() for p in module.parameters())
    return count


def image_tokens(config: Any, side: int | None) -> int:
    """Tokens of one squared image; a Qwen model without a side is told at 448 pixels."""
    if config.model_type == "idefics3":
        patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
        return int(patches // config.scale_factor**2)
    unit = config.vision_config.patch_size * config.vision_config.spatial_merge_size
    return ((side or 448) // unit) ** 2


def _feature_bytes(config: Any) -> int:
    if config.model_type != "idefics3":
        return 0
    vision = config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    return int(patches * vision.hidden_size * 4)


def _vllm(recipe: Recipe, text: Any, parameters: int, pair: int, devices: int) -> int:
    if recipe.grpo is None or recipe.grpo.rollout != "vllm":
        return 0
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    token = 2 * text.num_hidden_layers * text.num_key_value_heads * head * 2  # bytes, bfloat16
    completions = recipe.grpo.completions_per_step // devices
    return int(parameters * 2 + token * pair * completions)


def _config(base: str) -> Any:
    if base in SHAPES:
        return SHAPES[base]()
    if base in BASES or Path(base).is_dir():
        return AutoConfig.from_pretrained(base_folder(base))
    raise InputError(
        f"the shapes of {base!r} are not known; give a local folder, or one of "
        f"{', '.join([*BASES, *SHAPES])}"
    )
