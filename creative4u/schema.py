"""Define the frozen, validated records that pass between rooms; JSON in, JSON out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Side = Literal["A", "B"]
Choice = Literal["A", "B", "tie", "inconclusive"]
OrderChoice = Literal["A", "B", "tie"]  # a tie only where both images are one picture
Order = Literal["AB", "BA"]
YesNo = Literal["yes", "no"]
Comparison = Literal["A>B", "A=B", "A<B"]
Dtype = Literal["auto", "float32", "bfloat16"]  # what a model's products are computed in


class Record(BaseModel):
    """Frozen, and strict about names: an unknown field is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProtocolAnswers(Record):
    """The answers to the ten questions of the Creative Evaluation Protocol (Creative4U, B).

    The field order is the order in which they are asked and answered.
    """

    same_image: YesNo
    too_similar: YesNo
    query_hit: Comparison
    title_hit: Comparison
    text: Comparison
    props: Comparison
    layout: Comparison
    subject: Comparison
    background: Comparison
    click: OrderChoice


class Creative(Record):
    """One image of one product; `image` is a path, relative to the file that names it."""

    creative_id: str
    product_id: str
    image: Path
    impressions: int | None = Field(None, ge=0)
    clicks: int | None = Field(None, ge=0)


class CreativePair(Record):
    """Two creatives of one product, and what is known of which one is clicked."""

    pair_id: str
    product_id: str = ""
    product_title: str
    queries: tuple[str, ...] = ()
    image_a: Path
    image_b: Path
    label: Side | None = None
    ctr_a: float | None = Field(None, ge=0, le=1)
    ctr_b: float | None = Field(None, ge=0, le=1)
    impressions_a: int | None = Field(None, ge=0)
    impressions_b: int | None = Field(None, ge=0)
    answers: ProtocolAnswers | None = None
    reasoning: str | None = None
    split: str | None = None
    tags: tuple[str, ...] = ()  # how the pair was made: a damage, "queries decide", "feedback"

    @field_validator("product_title")
    @classmethod
    def _title_is_said(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the product title is empty; give the words that shoppers see")
        return value.strip()


class ImageEvidence(Record):
    """What was measured, read and recognised in one image, beside the language model.

    `degrees` are levels from 0 to 9 by property (`selector.observations` says what the ends mean),
    unrounded. `text_lines` are the legible lines of text on it, None where nobody read.
    `class_name` is what a classifier of photographs takes it for, with `class_probability`.
    """

    degrees: dict[str, float]
    text_lines: tuple[str, ...] | None = None
    class_name: str = ""
    class_probability: float | None = Field(None, ge=0, le=1)


class PairEvidence(Record):
    """The evidence on both images, and what it says about the choice.

    `contributions` are log odds for A by property, unrounded. `log_odds` is their sum in whole
    tenths, at least one tenth for the side that leads: the number that the prompt states, and that
    judging and calibration both use. Without evidence curves there are none, and it is 0.
    """

    A: ImageEvidence
    B: ImageEvidence
    contributions: dict[str, float] = Field(default_factory=dict)
    log_odds: float = 0.0

    def of(self, side: Side) -> ImageEvidence:
        """One image's evidence."""
        return self.A if side == "A" else self.B

    def swapped(self) -> PairEvidence:
        """The same evidence with A and B exchanged; its own inverse."""
        contributions = {name: 0.0 - value for name, value in self.contributions.items()}
        return PairEvidence(
            A=self.B, B=self.A, contributions=contributions, log_odds=0.0 - self.log_odds
        )


class Experts(Record):
    """The two experts behind a choice, in log odds for A; None where no model was asked.

    `log_odds_lm` is the language model's own, as it gave them (its position bias is in each order,
    and cancels in the mean of both). `log_odds` is what both come to after calibration.
    `overruled`: the evidence decided against the side that the language model preferred.
    """

    log_odds_lm: float | None = None
    log_odds_evidence: float | None = None
    log_odds: float | None = None
    overruled: bool = False


class OrderVerdict(Experts):
    """One presentation order's outcome, told in the user's own A and B."""

    order: Order
    choice: OrderChoice
    probability_a: float = Field(ge=0, le=1)
    answers: ProtocolAnswers
    reasoning: str


class Arithmetic(Record):
    """How a model in this process multiplied: the type, the instruction set, rows of a product."""

    dtype: Literal["float32", "bfloat16", "float16"]
    cpu: str  # as oneDNN names it: "AVX512_CORE_BF16"
    rows: tuple[int, int]  # at least, at most


class Verdict(Experts):
    """Hold what `creative4u select` prints; the experts' log odds are means over the orders.

    `probability_a` is the mean of the orders' probabilities. `observations` is the evidence as the
    prompt words it.
    """

    choice: Choice
    confidence: float = Field(ge=0.5, le=1)
    probability_a: float = Field(ge=0, le=1)
    consistent: bool
    answers: ProtocolAnswers
    observations: dict[Side, str] | None = None
    evidence: PairEvidence | None = None
    reasoning: str
    orders: tuple[OrderVerdict, ...]
    model: str
    arithmetic: Arithmetic | None = None  # None: of a server, or of a GPU
    seconds: float = Field(ge=0)
