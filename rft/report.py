"""A model's name and a file of pairs in; verdicts, figures, plots and a model card out.

Run: creative4u rft evaluate OUT --pairs DIR/pairs.jsonl --card docs/model-card.md

OUT keeps the verdicts, so that a stopped run goes on and a second call only counts again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from creative4u.errors import InputError
from creative4u.schema import CreativePair, Side
from creative4u.selector.config import read_config
from creative4u.selector.load import load_judge
from creative4u.selector.shipped import EMBEDDED, embedded_adapter
from creative4u.serving.evaluate import read_verdicts
from creative4u.serving.judge import BatchConfig, judge_pairs
from rft.card import card
from rft.evaluate import Judged, evaluate, matched
from rft.plots import draw as draw_plots
from rft.rows import draw
from rft.sft import read_pairs

BATCH = 8  # pairs


class Checks(Protocol):
    """What looks claims up in the facts; the data room has one (`data.creative_pair.borne_out`)."""

    def add(self, reasoning: str, pair: CreativePair, click: Side) -> None: ...

    def figures(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Asked:
    """What is evaluated, on how many pairs, and what stands beside it."""

    pairs: Path
    model: str | None = None
    split: str = "test"
    limit: int | None = None
    validation: int = 0  # pairs of the validation split for the temperature; 0 fits none
    before: Path | None = None  # verdicts of the model before GRPO, on the same pairs
    rankers: Path | None = None  # what `creative4u data ceiling` wrote
    tag: str | None = None  # only pairs made that way ("queries decide")
    queries: bool = True  # False judges without them: what only they decide becomes a guess
    seed: int = 7


def main(
    out: Path,
    asked: Asked,
    checks: Callable[[], Checks] | None,
    card_file: Path | None,
    command: str,
) -> dict[str, Any]:
    """Judge what is not judged yet, count, write figures.json, and the card where it is asked."""
    known = {pair.pair_id: pair for pair in read_pairs(asked.pairs)}
    rows = judged_split(out, asked, asked.split, asked.limit)
    validation = judged_split(out, asked, "validation", asked.validation)
    before = list(read_verdicts(asked.before)) if asked.before else []
    found = evaluate(rows, known, validation, before, _temperature(asked.model))
    judged = matched(rows, known)
    found["pairs"] = f"{len(rows)} pairs of the {asked.split} split of {asked.pairs}"
    found["model"] = asked.model or EMBEDDED
    if checks is not None:
        found["reasons"] = reasons(judged, checks)
    if asked.rankers is not None:
        found["rankers"] = json.loads(asked.rankers.read_text("utf-8"))
    done = Path(asked.model or "") / "done.json"
    if asked.model and done.is_file():
        found["training"] = json.loads(done.read_text("utf-8"))
    (out / "figures.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    draw_plots(found, judged, out / "figures.png")
    if card_file is not None:
        draw_plots(found, judged, card_file.with_name("model-card.png"))
        card_file.write_text(card(found["model"], command, found), "utf-8")
    return found


def judged_split(out: Path, asked: Asked, split: str, limit: int | None) -> list[Any]:
    """Verdict rows of (a part of) a split, judged into `out` or found there."""
    if limit == 0:
        return []
    out.mkdir(parents=True, exist_ok=True)
    pairs, verdicts = out / f"{split}.jsonl", out / f"{split}.verdicts.jsonl"
    if not pairs.exists():
        write_split(asked, split, limit, pairs)
    judge = load_judge(asked.model)
    judge_pairs(pairs, verdicts, judge, BatchConfig(batch_size=BATCH))
    return list(read_verdicts(verdicts))


def write_split(asked: Asked, split: str, limit: int | None, path: Path) -> None:
    """The split's labelled pairs, drawn by the seed, with images relative to their new file."""
    home = asked.pairs.parent
    rows = [
        pair
        for pair in read_pairs(asked.pairs)
        if pair.split == split and pair.label and (asked.tag is None or asked.tag in pair.tags)
    ]
    if not rows:
        tagged = f" and tag {asked.tag!r}" if asked.tag else ""
        raise InputError(f"{asked.pairs} has no labelled pairs of split {split}{tagged}")
    drawn = draw(rows, min(limit or len(rows), len(rows)), asked.seed)
    lines = []
    for pair in drawn:
        moved: dict[str, Any] = {
            side: os.path.relpath(home / getattr(pair, side), path.parent)
            for side in ("image_a", "image_b")
        }
        if not asked.queries:
            moved["queries"] = []
        lines.append(json.dumps(pair.model_dump(mode="json") | moved) + "\n")
    path.write_text("".join(lines), "utf-8")


def reasons(judged: Judged, checks: Callable[[], Checks]) -> dict[str, Any]:
    """How much of the reasoning holds, of both orders; and by chance, told of the next pair."""
    own, chance = checks(), checks()
    pairs = judged.pairs
    for row, pair, other in zip(judged.rows, pairs, [*pairs[1:], pairs[0]], strict=True):
        for order in row["orders"]:
            own.add(order["reasoning"], pair, order["choice"])
            chance.add(order["reasoning"], other, order["choice"])
    return own.figures() | {"chance": chance.figures()}


def _temperature(model: str | None) -> float:
    folder = embedded_adapter() if model is None else Path(model)
    return read_config(folder).temperature if folder.is_dir() else 1.0
