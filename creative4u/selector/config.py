"""Read how a model is judged with: the file `creative4u.json` beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from creative4u.errors import InputError
from creative4u.schema import Record
from creative4u.selector.evidence.weighing import KNOTS
from creative4u.selector.protocol.prompt import Instructions

FILE_NAME = "creative4u.json"
Curve = Annotated[tuple[float, ...], Field(min_length=len(KNOTS), max_length=len(KNOTS))]


class JudgeConfig(Record):
    """What is shown to the model beside the images, and how its doubt is read.

    `observe` says who rates each image: a linear probe on the vision encoder, the model itself
    asked of one image at a time, or nobody (the paper's single pass).

    `read` reads the words on each image (OCR) and tells how many lines there are and how many of
    the queries they meet; the words themselves are not shown to the model.

    `weights` are what each degree is worth, log odds at `weighing.KNOTS`
    (`rft.evidence.fit_weights`); the prompt then tells what speaks for whom and how much. Empty: it
    tells who has more of what.

    `first_lean` is the log odds that the model gives to whatever is shown first; it is taken off,
    so that no place wins (contextual calibration, Zhao et al. 2021, on the two orders).
    `temperature` then divides the log odds, and `prior` times what the weighed differences come to
    is added (a product of experts; 0 leaves the model alone). All three are fitted on held-out
    pairs. `margin` is the distance of probability_a from one half under which disagreeing orders
    are inconclusive.
    """

    observe: Literal["probe", "model", False] = "probe"
    measure: bool = True
    match: bool = True
    read: bool = False
    instructions: Instructions = "brief"
    weights: dict[str, Curve] = Field(default_factory=dict)
    image_side: int | None = Field(224, ge=28)  # square pixels; None: as the processor has it
    first_lean: float = 0.0
    temperature: float = Field(1.0, gt=0)
    prior: float = Field(0.0, ge=0)
    margin: float = Field(0.1, ge=0, le=0.5)

    @property
    def facts(self) -> bool:
        """Whether anything is said of the images beside showing them."""
        return bool(self.observe) or self.measure or self.read


PAPER = JudgeConfig(observe=False, measure=False, match=False, instructions="full", image_side=None)


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
