"""Say how a model is judged with: the small file `creative4u.json` beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from creative4u.errors import InputError
from creative4u.schema import Record
from creative4u.selector.evidence.properties import NAME_OF_WORD
from creative4u.selector.evidence.weighing import KNOTS
from creative4u.selector.protocol.prompt import Instructions

FILE_NAME = "creative4u.json"
Curve = Annotated[tuple[float, ...], Field(min_length=len(KNOTS), max_length=len(KNOTS))]


RENAMED = {  # names in configs written before, still read
    "measure": "use_pixels", "match": "use_title_match", "read": "use_ocr",
    "weights": "evidence_curves", "first_lean": "position_bias", "temperature": "lm_scale",
    "prior": "evidence_weight",
}  # fmt: skip


class JudgeConfig(Record):
    """What the model is shown beside the images, and how its log odds become a probability.

    `observe` says who rates each image: a linear probe on the vision encoder, the model itself
    asked of one image at a time, or nobody (the paper's single pass).

    `use_pixels` measures pixels and saliency; `use_title_match` recognises what an image shows and
    how near that is to title and queries; `use_ocr` reads the text on each image: how many lines
    there are and how many of the queries they meet (the text itself is not shown to the model).

    `evidence_curves` are what each degree is worth, log odds at `weighing.KNOTS`
    (`rft.evidence.fit_weights`). With curves the prompt lists each property's contribution and
    their sum; without, it lists differences of levels.

    A choice is a log-linear pool of two experts, the language model and the evidence (`fuse`):
    (lm - position_bias) / lm_scale + evidence_weight * evidence. `position_bias` is the log odds
    that the model gives to the image shown first, whichever it is (contextual calibration, Zhao et
    al. 2021). `lm_scale` is its temperature. The evidence also stands in the prompt, so the second
    expert says again what the first has read: stacking. All three are fitted on held-out pairs.
    `margin` is the distance of probability_a from one half under which disagreeing orders are
    inconclusive.
    """

    observe: Literal["probe", "model", False] = "probe"
    use_pixels: bool = True
    use_title_match: bool = True
    use_ocr: bool = False
    instructions: Instructions = "brief"
    evidence_curves: dict[str, Curve] = Field(default_factory=dict)
    image_side: int | None = Field(224, ge=28)  # square pixels; None: as the processor has it
    position_bias: float = 0.0
    lm_scale: float = Field(1.0, gt=0)
    evidence_weight: float = Field(0.0, ge=0)
    margin: float = Field(0.1, ge=0, le=0.5)

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        both = [old for old, new in RENAMED.items() if old in fields and new in fields]
        if both:
            raise ValueError(f"{both[0]} is the old name of {RENAMED[both[0]]}; give one of them")
        named = {RENAMED.get(name, name): value for name, value in fields.items()}
        if isinstance(curves := named.get("evidence_curves"), dict):
            named["evidence_curves"] = {
                NAME_OF_WORD.get(name, name): curve for name, curve in curves.items()
            }
        return named

    @property
    def facts(self) -> bool:
        """Whether anything is said of the images beside showing them."""
        return bool(self.observe) or self.use_pixels or self.use_ocr


PAPER = JudgeConfig(
    observe=False, use_pixels=False, use_title_match=False, instructions="full", image_side=None
)


def read_config(folder: Path) -> JudgeConfig:
    """The folder's own config, or the paper's single pass where it has none; raises InputError."""
    path = folder / FILE_NAME
    if not path.exists():
        return PAPER
    try:
        return JudgeConfig.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{path}: {first['loc']}: got {first['input']!r}; {first['msg']}"
        ) from None
