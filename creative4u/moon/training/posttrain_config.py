"""What post-training learns from, and which parts of MOON's method are on: its settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from creative4u.moon.encoder.encoder import RESIDUAL, EncoderConfig
from creative4u.moon.losses import filtering
from creative4u.moon.training.loop import TrainConfig
from creative4u.moon.training.text_alignment import MeaningConfig
from creative4u.moon.training.visual_head import LooksConfig


@dataclass(frozen=True)
class PosttrainConfig(TrainConfig):
    """What is learnt from and which parts of the method are on."""

    out: str = "runs/moon/posttrain"
    world: str = ""
    meaning_rate: float = 0.1  # a shop teaches how its products look, hardly what things are called
    start: str = ""  # an encoder's file; the shipped one by default, "conse": a fresh `encoder`
    encoder: EncoderConfig = RESIDUAL  # of a fresh one
    pictures: str = ""  # folders of named pictures, separated by commas, for `meaning`
    meaning: MeaningConfig = field(default_factory=MeaningConfig)  # of a fresh one
    looks: LooksConfig = field(default_factory=LooksConfig)  # of a fresh one, before the steps
    features: str = "runs/moon/features"
    validation: bool = False  # without the validation cut's things: for choosing
    images: int = 4  # the first images of an item that are learnt from
    first_steps: int = 150  # of step one, out of `steps`
    least_bought: int = 3  # purchases that make a positive; see `behaviour`
    bought_share: float = 0.25
    batch: int = 48
    temperature: float = 0.07
    queue: int = 1024
    hard: int = 8
    passed: bool = True  # a negative a query that was shown and passed over, or hard
    least_similar: bool = True
    rebalance: bool = True
    circle: float = 0.1  # the circle loss's weight
    alignment: bool = True  # dual-level alignment; off: mm to mm InfoNCE alone
    filter: bool = True
    augment: bool = True
    views: str = ""  # a folder of `moon augment`: pictures that stand in for the items' own
    rho: float = 0.01  # L_aux
    sigma: float = 0.001  # L_sparsity
    guide: float = 0.1  # the guided experts' weight, where the encoder has both
    noise: float = 0.1
    margins: filtering.FilterConfig = field(default_factory=filtering.FilterConfig)
