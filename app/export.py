"""Export the history's feedback as creative pairs: pairs.jsonl and images/ in one zip file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from app.history import Saved, Store
from creative4u.schema import CreativePair, Side

_WORDS = {"A": "A", "B": "B", "tie": "tie", "both_bad": "both bad"}


def export_zip(store: Store, target: Path) -> int:
    """Write every comparison with feedback to `target`; returns how many rows it holds.

    `pairs.jsonl` reads like any file of pairs: image paths are relative to it. The label is what
    the user said; a tie or "both bad" has no label but its tag. Answers and reasoning are kept
    only where the user agreed with the choice: the rest would teach what the user denied.
    """
    saved = store.with_feedback()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in saved:
            for side in ("A", "B"):
                archive.writestr(str(_path(one, side)), one.pictures[side])
        rows = "".join(pair(one).model_dump_json() + "\n" for one in saved)
        archive.writestr("pairs.jsonl", rows)
    return len(saved)


def pair(saved: Saved) -> CreativePair:
    """One comparison with feedback as a row of a file of pairs."""
    said = saved.feedback
    label: Side | None = said if said in ("A", "B") else None
    agreed = label is not None and saved.verdict.choice == label == saved.verdict.answers.click
    return CreativePair(
        pair_id=saved.comparison_id,
        product_title=saved.title,
        queries=saved.queries,
        image_a=_path(saved, "A"),
        image_b=_path(saved, "B"),
        label=label,
        answers=saved.verdict.answers if agreed else None,
        reasoning=saved.verdict.reasoning if agreed else None,
        tags=("feedback", _WORDS[said]) if said else (),
    )


def _path(saved: Saved, side: Side) -> Path:
    return Path("images") / f"{saved.comparison_id}_{side.lower()}.jpg"
