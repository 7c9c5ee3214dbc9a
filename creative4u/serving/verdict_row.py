"""A pair or its outcome in, the parts of its row in a file of verdicts out (DESIGN section 2)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from creative4u.errors import Creative4UError
from creative4u.images import load_image
from creative4u.schema import Verdict
from creative4u.selector.judge import PairRequest
from creative4u.serving.pairs import PairRow, RowError


def request_of(row: PairRow) -> PairRequest:
    """The pair with its images decoded; raises ImageError."""
    image_a = load_image(row.source("A"), f"image_a {row.image_a}")
    image_b = load_image(row.source("B"), f"image_b {row.image_b}")
    return PairRequest(image_a, image_b, row.product_title, row.queries)


def outcome_fields(outcome: Verdict | Creative4UError) -> dict[str, Any]:
    """A verdict's fields, or `error: {code, message}`."""
    if isinstance(outcome, Creative4UError):
        return {"error": {"code": outcome.code, "message": " ".join(str(outcome).split())}}
    return outcome.model_dump(mode="json")


def error_row(error: RowError) -> dict[str, Any]:
    """The verdict row of a pair that could not even be read."""
    return {"pair_id": error.pair_id, "error": {"code": error.code, "message": error.message}}


def origin_file(out: Path) -> Path:
    """Where it stands what a file of verdicts was made from."""
    return out.with_name(out.name + ".meta.json")


def origin_of(pairs: Path, model: str, dtype: str | None = None) -> dict[str, str]:
    """What verdicts are made from: only the same pairs, model and dtype may go on with a file."""
    with pairs.open("rb") as file:
        origin = {"pairs_sha256": hashlib.file_digest(file, "sha256").hexdigest(), "model": model}
    return origin if dtype is None else origin | {"dtype": dtype}
