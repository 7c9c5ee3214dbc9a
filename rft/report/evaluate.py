"""Judge a file of pairs with a model, and write verdicts, figures, plots and a model card.

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

from creative4u.backbone.names import EMBEDDED, embedded_adapter
from creative4u.errors import InputError
from creative4u.files.origin import file_hash, is_made_from, note_origin, whole_file
from creative4u.files.pairs_file import good_pairs
from creative4u.files.verdict_file import read_verdicts
from creative4u.schema import CreativePair, Dtype, Side
from creative4u.selector.config import PAPER, JudgeConfig, read_config
from creative4u.selector.loading import load_judge
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs
from rft.report.figures import evaluate
from rft.report.judged import Judged, matched
from rft.report.model_card import card
from rft.report.plots import draw as draw_plots
from rft.training.rows import draw

BATCH = 8  # pairs


class Checks(Protocol):
    """What looks claims up in the facts; the data room's is `claim_accuracy`."""

    def add(self, reasoning: str, pair: CreativePair, click: Side) -> None: ...

    def figures(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Asked:
    """What is evaluated, on how many pairs, and what stands beside it."""

    pairs: Path
    model: str | None = None
    split: str = "test"
    limit: int | None = None
    validation: int = 0  # validation pairs to refit the calibration on; 0 fits none
    before: Path | None = None  # verdicts of the model before GRPO, on the same pairs
    rankers: Path | None = None  # what `creative4u data ceiling` wrote
    tag: str | None = None  # only pairs made that way ("queries decide")
    queries: bool = True  # False judges without them: what only they decide becomes a guess
    seed: int = 7
    dtype: Dtype = "auto"


def main(
    out: Path,
    asked: Asked,
    checks: Callable[[], Checks] | None,
    card_file: Path | None,
    command: str,
) -> dict[str, Any]:
    """Judge what is not judged yet, count, write figures.json, and the card where it is asked."""
    known = {pair.pair_id: pair for pair in good_pairs(asked.pairs, unique=True)}
    rows = judged_split(out, asked, asked.split, asked.limit)
    validation = judged_split(out, asked, "validation", asked.validation)
    before = list(read_verdicts(asked.before)) if asked.before else []
    config = _config(asked.model)
    found = evaluate(rows, known, validation, before, config)
    judged = matched(rows, known, config)
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
    origin = {
        "pairs": file_hash(asked.pairs), "home": str(asked.pairs.parent), "split": split,
        "limit": limit, "tag": asked.tag, "queries": asked.queries, "seed": asked.seed,
    }  # fmt: skip
    if not is_made_from(pairs, origin):
        write_split(asked, split, limit, pairs)
        note_origin(pairs, origin)
    judge = load_judge(asked.model, dtype=asked.dtype)
    judge_pairs(pairs, verdicts, judge, BatchConfig(batch_size=BATCH))
    return list(read_verdicts(verdicts))


def write_split(asked: Asked, split: str, limit: int | None, path: Path) -> None:
    """The split's labelled pairs, drawn by the seed, with images relative to their new file."""
    home = asked.pairs.parent
    rows = [
        pair
        for pair in good_pairs(asked.pairs)
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
    with whole_file(path) as file:
        file.writelines(lines)


def reasons(judged: Judged, checks: Callable[[], Checks]) -> dict[str, Any]:
    """How much of the reasoning holds, of both orders; and by chance, told of the next pair."""
    own, chance = checks(), checks()
    pairs = judged.pairs
    for row, pair, other in zip(judged.rows, pairs, [*pairs[1:], pairs[0]], strict=True):
        for order in row["orders"] if row["choice"] != "tie" else ():
            own.add(order["reasoning"], pair, order["choice"])
            chance.add(order["reasoning"], other, order["choice"])
    return own.figures() | {"chance": chance.figures()}


def _config(model: str | None) -> JudgeConfig:
    folder = embedded_adapter() if model is None else Path(model)
    return read_config(folder) if folder.is_dir() else PAPER
