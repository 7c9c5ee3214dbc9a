"""Count the floating point operations of judging from a model's config and token counts.

Two FLOP a weight and token; attention's own products are counted too. What is needed, not what a
program happens to do: each image is encoded once for both orders, nothing is padded, and the output
layer is computed for generated tokens alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Arithmetic:
    """FLOP of one image's encoding, of one token of the language model, and of one output."""

    image: float
    token: float
    output: float
    attended: float  # of one token, for each token that it attends to

    def completion(self, prompt: int, generated: int) -> float:
        """One completion without its images; `prompt` counts the image tokens too."""
        fed = prompt + generated - 1
        attended = fed * (fed + 1) / 2
        return fed * self.token + attended * self.attended + generated * self.output


def arithmetic(config: Any) -> Arithmetic:
    """Of an Idefics3-like model: a ViT, a linear connector, a Llama."""
    text, vision = config.text_config, config.vision_config
    wide, deep = text.hidden_size, text.num_hidden_layers
    head = getattr(text, "head_dim", None) or wide // text.num_attention_heads
    heads, shared = text.num_attention_heads, text.num_key_value_heads
    layer = wide * head * (2 * heads + 2 * shared) + 3 * wide * text.intermediate_size
    patches = (vision.image_size // vision.patch_size) ** 2
    side = vision.hidden_size
    block = 4 * side * side + 2 * side * vision.intermediate_size
    of_patch = 3 * vision.patch_size**2 * side + vision.num_hidden_layers * block
    of_patches = 2.0 * patches * of_patch + 4.0 * patches**2 * side * vision.num_hidden_layers
    connector = 2.0 * patches * side * wide  # (patches / s^2) tokens of s^2 patches each
    return Arithmetic(
        image=of_patches + connector,
        token=2.0 * deep * layer,
        output=2.0 * wide * text.vocab_size,
        attended=4.0 * deep * heads * head,
    )
