"""Convert pairs to requests and outcomes to rows of a verdict file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from creative4u.errors import Creative4UError
from creative4u.files.pairs_file import PairRow, RowError
from creative4u.files.verdict_file import pairs_hash
from creative4u.images import load_image
from creative4u.schema import Verdict
from creative4u.selector.judge import PairRequest
from creative4u.user_paths import short_name


def request_of(row: PairRow) -> PairRequest:
    """The pair with its images decoded; raises ImageError."""
    image_a = load_image(row.source("A"), f"image_a {short_name(row.image_a)}")
    image_b = load_image(row.source("B"), f"image_b {short_name(row.image_b)}")
    return PairRequest(image_a, image_b, row.product_title, row.queries)


def outcome_fields(outcome: Verdict | Creative4UError) -> dict[str, Any]:
    """A verdict's fields, or `error: {code, message}`."""
    if isinstance(outcome, Creative4UError):
        return {"error": {"code": outcome.code, "message": " ".join(str(outcome).split())}}
    return outcome.model_dump(mode="json")


def error_row(error: RowError) -> dict[str, Any]:
    """The verdict row of a pair that could not even be read."""
    return {"pair_id": error.pair_id, "error": {"code": error.code, "message": error.message}}


def origin_of(pairs: Path, model: str, dtype: str | None = None) -> dict[str, str]:
    """What verdicts are made from: the file of pairs as it is now, its name, model and dtype."""
    origin = {"pairs_sha256": pairs_hash(pairs), "pairs": pairs.name, "model": model}
    return origin if dtype is None else origin | {"dtype": dtype}
