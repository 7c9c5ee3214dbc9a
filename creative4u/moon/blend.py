"""A trained encoder in, one half-way between it and its start out: robust where data differ.

    creative4u moon blend ENCODER --out FILE --share 0.5

Weights between the zero-shot start and the trained ones hold up better on what training has not
seen than either end (WiSE-FT, arXiv 2109.01903, whose default of one half is ours). Only what
shapes the start's answers is blended: at its start the encoder is ConSE whatever its attention, FFN
and gates are, since all that they add goes through matrices that are zero. How much an image weighs
stays as trained.
"""

from __future__ import annotations

from creative4u.errors import InputError
from creative4u.moon.encoder import Encoder
from creative4u.moon.features_backbone import FeaturesBackbone

SILENT = ("qkv", "norm1", "norm2", "mlp.0", "mlp.dense.0", "mlp.down", "mlp.gate", "alignment",
          "shares")  # fmt: skip


def blend(trained: Encoder, share: float = 0.5) -> Encoder:
    """`share` of the trained weights, the rest of the start's; 1 is the trained encoder."""
    if not 0 <= share <= 1:
        raise InputError(f"a share is 0 to 1, not {share}")
    if not isinstance(trained.backbone, FeaturesBackbone):
        raise InputError("only an encoder over frozen features has a start to blend with")
    start = Encoder(trained.config, trained.backbone.store).start().state_dict()
    mixed = {
        name: value if _silent(name) else share * value + (1 - share) * start[name]
        for name, value in trained.state_dict().items()
    }
    result = Encoder(trained.config, trained.backbone.store)
    result.load_state_dict(mixed)
    return result.eval()


def _silent(name: str) -> bool:
    return any(f".{part}" in f".{name}" for part in SILENT)
