"""Hold the settings of post-training: its data, and which parts of MOON's method are on."""

from __future__ import annotations

from dataclasses import dataclass, field

from creative4u.moon.encoder.encoder import RESIDUAL, EncoderConfig
from creative4u.moon.losses import filtering
from creative4u.moon.training.loop import TrainConfig
from creative4u.moon.training.text_alignment import TextAlignmentConfig
from creative4u.moon.training.visual_head import VisualHeadConfig


@dataclass(frozen=True)
class PosttrainConfig(TrainConfig):
    """Settings of post-training; each part of the method can be turned off (ablations)."""

    out: str = "runs/moon/posttrain"
    world: str = ""
    semantic_rate: float = 0.1  # a shop teaches how products look, hardly their names
    start: str = ""  # an encoder's file; "conse": a new `encoder`; by default the one that ships
    encoder: EncoderConfig = RESIDUAL  # of a new one
    pictures: tuple[str, ...] = ()  # folders of named images, for `text_alignment`
    text_alignment: TextAlignmentConfig = field(default_factory=TextAlignmentConfig)  # of a new one
    visual_head: VisualHeadConfig = field(default_factory=VisualHeadConfig)  # of a new one
    features: str = "runs/moon/features"
    validation: bool = False  # leave out the validation cut, to choose settings
    images: int = 4  # of an item, at most
    first_steps: int = 150  # of step one, out of `steps`
    min_purchases: int = 3  # that make a positive; see `behaviour`
    min_purchase_share: float = 0.25
    batch: int = 48
    temperature: float = 0.07
    queue: int = 1024  # negatives of earlier steps
    hard: int = 8  # hard negatives of an item
    not_clicked: bool = True  # use not-clicked items as negatives
    least_similar: bool = True  # keep each item's least similar query only
    rebalance: bool = True  # draw categories by exposure
    circle: float = 0.1  # the circle loss's weight
    alignment: bool = True  # dual-level alignment; off: mm to mm InfoNCE alone
    filter: bool = True  # dynamic sample filtering
    augment: bool = True  # enriched titles and `views`
    views: str = ""  # a folder of `moon augment`
    rho: float = 0.01  # L_aux
    sigma: float = 0.001  # L_sparsity
    guide: float = 0.1  # the guided experts' weight, if the encoder has both
    noise: float = 0.1  # relative, on frozen features
    margins: filtering.FilterConfig = field(default_factory=filtering.FilterConfig)
