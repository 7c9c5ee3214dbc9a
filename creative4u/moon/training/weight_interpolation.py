"""A trained encoder in, one half-way between it and its start out: robust where data differ.

    creative4u moon blend ENCODER --out FILE --share 0.5 [--start FILE]

Weights between the zero-shot start and the trained ones hold up better on what training has not
seen than either end (WiSE-FT, arXiv 2109.01903, whose default of one half is ours). Where the
start's file is given, all weights are blended. Without one it is ConSE, and only what shapes its
answers is: it is ConSE whatever its attention, FFN and gates are, since all that they add goes
through matrices that are zero; how much an image weighs stays as trained.
"""

from __future__ import annotations

from creative4u.errors import InputError
from creative4u.moon.encoder.encoder import Encoder
from creative4u.moon.encoder.frozen_features import FeaturesBackbone

SILENT = ("qkv", "norm1", "norm2", "mlp.0", "mlp.dense.0", "mlp.down", "mlp.gate", "alignment",
          "shares")  # fmt: skip


def blend(trained: Encoder, share: float = 0.5, start: Encoder | None = None) -> Encoder:
    """`share` of the trained weights, the rest of the start's; 1 is the trained encoder."""
    if not 0 <= share <= 1:
        raise InputError(f"a share is 0 to 1, not {share}")
    if start is not None and start.config != trained.config:
        raise InputError("the start and the trained encoder are not of the same settings")
    if not isinstance(trained.backbone, FeaturesBackbone):
        raise InputError("only an encoder over frozen features has a start to blend with")
    store = trained.backbone.store
    begun = (start or Encoder(trained.config, store).start()).state_dict()
    mixed = {
        name: value
        if start is None and _silent(name)
        else share * value + (1 - share) * begun[name]
        for name, value in trained.state_dict().items()
    }
    result = Encoder(trained.config, store)
    result.load_state_dict(mixed)
    return result.eval()


def _silent(name: str) -> bool:
    return any(f".{part}" in f".{name}" for part in SILENT)
