"""What passes between rooms: frozen, validated records; JSON in, JSON out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Side = Literal["A", "B"]
Choice = Literal["A", "B", "tie", "inconclusive"]
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
    click: Side


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


class OrderVerdict(Record):
    """One presentation order's outcome, told in the user's own A and B."""

    order: Order
    choice: Side
    probability_a: float = Field(ge=0, le=1)
    answers: ProtocolAnswers
    reasoning: str


class Arithmetic(Record):
    """How a model in this process multiplied: the type, the instruction set, rows of a product."""

    dtype: Literal["float32", "bfloat16", "float16"]
    cpu: str  # as oneDNN names it: "AVX512_CORE_BF16"
    rows: tuple[int, int]  # at least, at most


class Verdict(Record):
    """What `creative4u select` prints: DESIGN's contract of a verdict."""

    choice: Choice
    confidence: float = Field(ge=0.5, le=1)
    probability_a: float = Field(ge=0, le=1)
    consistent: bool
    answers: ProtocolAnswers
    observations: dict[Side, str] | None = None
    reasoning: str
    orders: tuple[OrderVerdict, ...]
    model: str
    arithmetic: Arithmetic | None = None  # None: of a server, or of a GPU
    seconds: float = Field(ge=0)
