"""Make a model's linear layers batch-invariant: a row keeps its bits whatever rows are beside it.

What is guaranteed, on a CPU: **the same machine, the same pair, the same bits**, alone or in a
file, whatever `--batch-size`, drafted or not. Products are cut as `products.find_way` found it
to hold here; they are in bfloat16 where the CPU multiplies it by itself (a quarter to a third of
float32's time) and a way of bfloat16 holds, else in float32. Sums, norms and attention stay in
float32, and so do the output logits that a choice hangs on.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.activations import SiLUActivation
from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionTransformer

from creative4u.backbone.cpu import instruction_set, multiplies_bfloat16
from creative4u.schema import Arithmetic, Dtype
from creative4u.selector.decoding.products import Way, find_way, shapes_of

CLOSE = 16  # of the likeliest tokens, whose logits are computed in float32
SERIAL = 32_768  # elements that torch leaves to one thread (at::internal::GRAIN_SIZE)
LANES = 32  # elements that torch's widest loop takes at once; what is left over rounds otherwise
ONE_BY_ONE = (1, 1)  # bounds that hold wherever the same product gives the same bits
TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


class InvariantLinear(nn.Module):
    """(..., in) to (..., out) in float32; inputs and weights are rounded to the way's type."""

    def __init__(self, whole: nn.Linear, way: Way) -> None:
        super().__init__()
        self.way = way
        self.weight = nn.Parameter(whole.weight.detach().to(way.dtype), requires_grad=False)
        self.bias = whole.bias

    def forward(self, x: Tensor) -> Tensor:
        out = self.way.product(x.to(self.way.dtype), self.weight).float()
        return out if self.bias is None else out.add_(self.bias)


class InvariantGated(nn.Module):
    """A gated MLP (gate, up, down; no biases), (..., in) to (..., in) in float32.

    The same bits as of three InvariantLinears; its input is rounded once, and its gate written in
    place.
    """

    def __init__(self, whole: Any, way: Way) -> None:
        super().__init__()
        self.way = way
        self.gate_proj = InvariantLinear(whole.gate_proj, way)
        self.up_proj = InvariantLinear(whole.up_proj, way)
        self.down_proj = InvariantLinear(whole.down_proj, way)
        self.act_fn = whole.act_fn

    def forward(self, x: Tensor) -> Tensor:
        rounded = x.to(self.way.dtype)
        gate = self.activated(self.way.product(rounded, self.gate_proj.weight).float())
        gate.mul_(self.way.product(rounded, self.up_proj.weight).float())
        return self.way.product(gate.to(self.way.dtype), self.down_proj.weight).float()

    def activated(self, gate: Tensor) -> Tensor:
        """`gate` (..., width) by its activation, in place where that is SiLU.

        SiLU by rows that one thread takes: where threads share them, a thread's end may fall within
        a row, and the last elements before it round otherwise.
        """
        if not isinstance(self.act_fn, nn.SiLU | SiLUActivation):
            out: Tensor = self.act_fn(gate)
            return out
        width = gate.shape[-1]
        step = 1 if width % LANES else max(1, SERIAL // width)
        for part in torch.split(gate.view(-1, width), step):
            silu(part, inplace=True)
        return gate


def _is_gated(module: nn.Module) -> bool:
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    return hasattr(module, "act_fn") and all(
        type(part) is nn.Linear and part.bias is None for part in parts
    )


class RoundedHead(nn.Module):
    """The output layer, (..., in) to (..., V): exact for the CLOSE likeliest tokens of each row.

    Logits of 16 and more are an eighth apart in bfloat16, too far to choose by.
    """

    def __init__(self, whole: nn.Linear, way: Way) -> None:
        super().__init__()
        self.way = way
        self.whole = whole.weight.detach()  # (V, in), tied to the embedding: no copy
        self.rounded = self.whole.to(way.dtype)

    def forward(self, x: Tensor) -> Tensor:
        rough = self.way.product(x.to(self.way.dtype), self.rounded).float()
        close = rough.topk(min(CLOSE, rough.shape[-1]), -1).indices  # (..., CLOSE)
        exact = (self.whole[close] * x.unsqueeze(-2)).sum(-1)
        return rough.scatter_(-1, close, exact)


def way_for(model: nn.Module, dtype: Dtype = "auto") -> Way:
    """How this CPU multiplies for `model`: the type that is asked, or the faster one that holds."""
    linears = [part for part in model.modules() if type(part) is nn.Linear]
    shapes = shapes_of([part.weight for part in linears])
    if dtype == "bfloat16" or (dtype == "auto" and multiplies_bfloat16()):
        way = find_way(shapes, torch.bfloat16)
        if way is not None:
            return way
        if dtype == "bfloat16":
            return Way(torch.bfloat16, *ONE_BY_ONE)
    return find_way(shapes, torch.float32) or Way(torch.float32, *ONE_BY_ONE)


def invariant(model: Any, dtype: Dtype = "auto") -> Any:
    """`model` itself, to read with and not to train; as it is where it is no float32 on a CPU."""
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return model
    linears = any(type(part) is nn.Linear for part in model.modules())
    if not linears:  # it is so already
        return model
    way = way_for(model, dtype)
    head = model.get_output_embeddings() if way.dtype is not torch.float32 else None
    for parent in [m for m in model.modules() if not _is_gated(m)]:  # these are taken as one
        for name, child in list(parent.named_children()):
            if _is_gated(child):
                setattr(parent, name, InvariantGated(child, way))
            elif child is head and type(child) is nn.Linear and child.bias is None:
                setattr(parent, name, RoundedHead(child, way))
            elif type(child) is nn.Linear:
                setattr(parent, name, InvariantLinear(child, way))
    return model


def with_exact(model: Any, dtype: Dtype = "auto") -> tuple[Any, Any]:
    """`invariant(model)`, and where that rounds the same model in float32, else None.

    They share all weights that are not rounded, and the images' features.
    """
    shared: list[Any] = [*model.parameters(), *model.buffers()]
    shared += [part for part in model.modules() if isinstance(part, Idefics3VisionTransformer)]
    exact = copy.deepcopy(model, {id(one): one for one in shared})
    made = invariant(model, dtype)
    told = arithmetic_of(made)
    if told is None or told.dtype == "float32":
        return made, None
    return made, invariant(exact, "float32")


def arithmetic_of(model: Any) -> Arithmetic | None:
    """What stands in a verdict of how `model` was computed; None where `invariant` left it."""
    way = next((part.way for part in model.modules() if isinstance(part, InvariantLinear)), None)
    if way is None:
        return None
    return Arithmetic(dtype=TYPES[way.dtype], cpu=instruction_set(), rows=(way.least, way.most))
