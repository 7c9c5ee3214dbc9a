"""Replace a float32 model's linear layers by bfloat16 ones where this CPU gains by it.

On a CPU with AVX-512 BF16 a product takes a quarter to a third of float32's time, and each row of
it comes out bit for bit the same whatever rows are beside it, which float32's does not. Sums, norms
and attention stay in float32; so do the output logits that a choice hangs on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers.activations import SiLUActivation

CLOSE = 16  # of the likeliest tokens, whose logits are computed in float32


def half_pays() -> bool:
    """Whether this CPU multiplies bfloat16 by itself."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_tile"))


class HalfLinear(nn.Module):
    """(..., in) to (..., out) in float32, inputs and weights rounded to bfloat16."""

    def __init__(self, whole: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(whole.weight.detach().bfloat16(), requires_grad=False)
        self.bias = whole.bias

    def forward(self, x: Tensor) -> Tensor:
        out = linear(x.bfloat16(), self.weight).float()
        return out if self.bias is None else out.add_(self.bias)


class HalfGated(nn.Module):
    """A gated MLP (gate, up, down; no biases), (..., in) to (..., in) in float32.

    The same bits as of three HalfLinears; its input is rounded once, and its gate written in place.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.gate_proj = HalfLinear(whole.gate_proj)
        self.up_proj = HalfLinear(whole.up_proj)
        self.down_proj = HalfLinear(whole.down_proj)
        silu = isinstance(whole.act_fn, nn.SiLU | SiLUActivation)
        self.act_fn = nn.SiLU(inplace=True) if silu else whole.act_fn

    def forward(self, x: Tensor) -> Tensor:
        half = x.bfloat16()
        gate = self.act_fn(linear(half, self.gate_proj.weight).float())
        gate.mul_(linear(half, self.up_proj.weight).float())
        return linear(gate.bfloat16(), self.down_proj.weight).float()


def _is_gated(module: nn.Module) -> bool:
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    return hasattr(module, "act_fn") and all(
        type(part) is nn.Linear and part.bias is None for part in parts
    )


class HalfHead(nn.Module):
    """The output layer, (..., in) to (..., V): exact for the CLOSE likeliest tokens of each row.

    Logits of 16 and more are an eighth apart in bfloat16, too far to choose by.
    """

    def __init__(self, whole: nn.Linear) -> None:
        super().__init__()
        self.whole = whole.weight.detach()  # (V, in), tied to the embedding: no copy
        self.rounded = self.whole.bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        rough = linear(x.bfloat16(), self.rounded).float()
        close = rough.topk(min(CLOSE, rough.shape[-1]), -1).indices  # (..., CLOSE)
        exact = (self.whole[close] * x.unsqueeze(-2)).sum(-1)
        return rough.scatter_(-1, close, exact)


def halved(model: Any) -> Any:
    """`model` itself, to read with and not to train, or as it is where that does not pay."""
    if model.device.type != "cpu" or model.dtype != torch.float32 or not half_pays():
        return model
    head = model.get_output_embeddings()
    for parent in [m for m in model.modules() if not _is_gated(m)]:  # these are halved as one
        for name, child in list(parent.named_children()):
            if _is_gated(child):
                setattr(parent, name, HalfGated(child))
            elif child is head and type(child) is nn.Linear and child.bias is None:
                setattr(parent, name, HalfHead(child))
            elif type(child) is nn.Linear:
                setattr(parent, name, HalfLinear(child))
    return model
