"""Judge thousands of held-out pairs with an adapter in large batches, for a GPU.

Run: python -m rft.report.held_out ADAPTER --pairs DIR/pairs.jsonl --split validation --out runs

Plain greedy generation in large batches, for a GPU: thousands of pairs in a minute, where the judge
with its guided decoder takes them one by one. The prompts, the parser, the verdict and the figures
are the judge's own; the protocol's keys are written by the model instead of being fed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from tqdm import tqdm
from transformers import LogitsProcessor, LogitsProcessorList

from creative4u.errors import CompletionError, InputError
from creative4u.files.origin import kept_rows, value_hash
from creative4u.files.pairs_file import good_pairs
from creative4u.files.verdict_file import read_verdicts
from creative4u.images import load_image, square
from creative4u.selector.config import JudgeConfig, read_config
from creative4u.selector.loading import evidence_hash, load_asker
from creative4u.selector.protocol.completion import parse
from creative4u.selector.protocol.questions import SIDES
from creative4u.selector.verdict import Judged, verdict
from rft.report.figures import evaluate
from rft.training.grpo import vision_tokens
from rft.training.grpo_rows import order_rows
from rft.training.policy import load_base
from rft.training.rows import Row, draw

ROWS, VERDICTS, FIGURES = "rows.jsonl", "verdicts.jsonl", "figures.json"
LONGEST = 448  # tokens of a completion
Told = tuple[Row, str, float | None]


class Sides(LogitsProcessor):  # type: ignore[misc]
    """Notes the logits of `A` and `B` at every step and bans what may never be written."""

    def __init__(self, sides: Sequence[int], banned: Sequence[int]) -> None:
        self.sides = list(sides)
        self.banned = list(banned)
        self.noted: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.noted.append(scores[:, self.sides].float().cpu())
        scores[:, self.banned] = float("-inf")
        return scores


def held_out_rows(
    pairs: Path, split: str, limit: int | None, adapter: Path, out: Path
) -> list[Row]:
    """Both orders of the split's labelled pairs, from `out` if they were made before."""
    known = [(p, pairs.parent) for p in good_pairs(pairs, unique=True)
             if p.split == split and p.label]  # fmt: skip
    drawn = known if limit is None else draw(known, min(limit, len(known)), 0)
    origin = {
        "pairs": value_hash([[p.model_dump_json(), str(f), *p.image_hashes(f)] for p, f in drawn]),
        "judge": value_hash([read_config(adapter).model_dump(mode="json"), evidence_hash()]),
    }

    def made() -> Iterator[Row]:
        yield from order_rows(tqdm(drawn, desc="prompts"), load_asker(str(adapter)))

    rows = kept_rows(out / ROWS, origin, made)
    if not rows:
        raise InputError(f"{pairs}: no labelled pair of split {split!r}")
    return rows


def completed(
    model: Any, processor: Any, rows: Sequence[Row], config: JudgeConfig, at_once: int
) -> Iterator[Told]:
    """Each row, what the model writes for it, and the log odds of `A` where its answer stands.

    None where no answer stands behind the closing.
    """
    tokenizer = processor.tokenizer
    sides = [tokenizer(side, add_special_tokens=False).input_ids[0] for side in SIDES]
    closing = tokenizer("</think><answer>", add_special_tokens=False).input_ids
    for start in tqdm(range(0, len(rows), at_once), desc="judging", unit="batch"):
        batch = rows[start : start + at_once]
        shown = [[load_image(Path(path)) for path in row["images"]] for row in batch]
        if config.image_side is not None:
            shown = [[square(image, config.image_side) for image in images] for images in shown]
        texts = [processor.apply_chat_template(r["prompt"], add_generation_prompt=True)
                 for r in batch]
        inputs = processor(text=texts, images=shown, padding=True, padding_side="left",
                           return_tensors="pt").to(model.device)
        noted = Sides(sides, vision_tokens(processor))
        with torch.inference_mode():  # in float32: bfloat16 logits are too far apart to choose by
            written = model.generate(
                **inputs, do_sample=False, max_new_tokens=LONGEST,
                logits_processor=LogitsProcessorList([noted]),
            )  # fmt: skip
        odds = torch.stack(noted.noted, 1)  # (B, steps, 2)
        for row, ids, of_row in zip(batch, written[:, inputs["input_ids"].shape[1] :].tolist(),
                                    odds, strict=True):
            text = tokenizer.decode(ids, skip_special_tokens=True)
            place = _after(ids, closing)
            yield row, text, None if place is None else float(of_row[place][0] - of_row[place][1])


def verdicts(told: Sequence[Told], config: JudgeConfig, name: str) -> list[Row]:
    """One verdict row a pair, or an error row where either order does not parse."""
    pairs: dict[str, list[Told]] = {}
    for one in told:
        pairs.setdefault(one[0]["pair_id"], []).append(one)
    found: list[Row] = []
    for key, orders in pairs.items():
        pair_id = key.rpartition("#")[0]
        try:
            judged = [
                Judged(row["order"], parse(text), _known(odds), row["evidence_log_odds"])
                for row, text, odds in orders
            ]
        except CompletionError as error:
            found.append({"pair_id": pair_id, "error": {"code": error.code, "message": str(error)}})
            continue
        found.append({"pair_id": pair_id, **verdict(judged, config, name, 0.0).model_dump()})
    return found


def _known(odds: float | None) -> float:
    if odds is None:
        raise CompletionError("the answer does not stand where the protocol has it")
    return odds


def _after(ids: Sequence[int], sought: Sequence[int]) -> int | None:
    """The place behind the first occurrence of `sought`, or None."""
    for end in range(len(sought), len(ids)):
        if list(ids[end - len(sought) : end]) == list(sought):
            return end
    return None


def main(adapter: Path, pairs: Path, out: Path, split: str, limit: int | None, at_once: int,
         before: Path | None) -> dict[str, Any]:
    """Judge, write rows, verdicts and figures into `out`; the figures."""
    rows = held_out_rows(pairs, split, limit, adapter, out)
    config = read_config(adapter)
    base = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    model, processor = load_base(base["base_model_name_or_path"])
    model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()
    if torch.cuda.is_available():
        model = model.cuda()
    told = list(completed(model, processor, rows, config, at_once))
    found = verdicts(told, config, str(adapter))
    (out / VERDICTS).write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
    figures = evaluate(
        found, {pair.pair_id: pair for pair in good_pairs(pairs)},
        before=list(read_verdicts(before)) if before else [], config=config,
    )  # fmt: skip
    (out / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return figures


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("adapter", type=Path)
    asked.add_argument("--pairs", type=Path, required=True)
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--split", default="validation")
    asked.add_argument("--limit", type=int)
    asked.add_argument("--at-once", type=int, default=256, help="prompts a batch")
    asked.add_argument("--before", type=Path, help="verdicts of another model on the same pairs")
    told = asked.parse_args()
    shown = main(told.adapter, told.pairs, told.out, told.split, told.limit, told.at_once,
                 told.before)
    print(json.dumps({key: shown[key] for key in
                      ("n", "parse_rate", "AA", "CA", "consistent", "questions", "calibration",
                       "gain") if key in shown}))
