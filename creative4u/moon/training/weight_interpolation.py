"""Interpolate between the weights of a trained encoder and of its start (WiSE-FT).

    creative4u moon blend ENCODER --out FILE --share 0.5 [--start FILE]

Interpolated weights do better on unseen data than either end (arXiv 2109.01903; the default of one
half is ours). With the start's file, all weights are interpolated. Without one the start is ConSE,
and only the weights that decide its output are: attention, FFN and gates act through matrices that
are zero at the start, and the weight of an image stays as trained.
"""

from __future__ import annotations

from creative4u.errors import InputError
from creative4u.moon.encoder.encoder import Encoder
from creative4u.moon.encoder.frozen_features import FeaturesBackbone

NO_EFFECT_AT_START = (
    "qkv", "norm1", "norm2", "mlp.0", "mlp.dense.0", "mlp.down", "mlp.gate", "alignment", "shares"
)  # fmt: skip


def blend(trained: Encoder, share: float = 0.5, start: Encoder | None = None) -> Encoder:
    """Mix weights: `share` of the trained ones, the rest of the start's. Raises InputError."""
    if not 0 <= share <= 1:
        raise InputError(f"got share {share}; 0 to 1 is allowed")
    if start is not None and start.config != trained.config:
        raise InputError("the start and the trained encoder have different settings")
    if not isinstance(trained.backbone, FeaturesBackbone):
        raise InputError("only an encoder over frozen features can be interpolated")
    store = trained.backbone.store
    begun = (start or Encoder(trained.config, store).start()).state_dict()
    mixed = {
        name: value
        if start is None and _no_effect(name)
        else share * value + (1 - share) * begun[name]
        for name, value in trained.state_dict().items()
    }
    result = Encoder(trained.config, store)
    result.load_state_dict(mixed)
    return result.eval()


def _no_effect(name: str) -> bool:
    return any(f".{part}" in f".{name}" for part in NO_EFFECT_AT_START)
