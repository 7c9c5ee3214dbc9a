"""Build training rows (prompt, completion, images) from single images and pairs.

A single is one image and its degrees; a pair is the judge's own prompt and a reasoned completion,
in both orders. The prompts are those of `creative4u.selector`, never written again here.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from datasets import Dataset

from creative4u.errors import InputError
from creative4u.files.json_rows import strict_rows
from creative4u.images import load_image, square
from creative4u.schema import CreativePair, PairEvidence
from creative4u.selector.evidence.properties import target
from creative4u.selector.judge import Judge, PairRequest
from creative4u.selector.protocol.completion import complete, swap_sides
from creative4u.selector.protocol.prompt import cited, gaps_text, observation_messages
from creative4u.selector.protocol.questions import MIRROR

Row = dict[str, Any]
T = TypeVar("T")
ORDERS = ("AB", "BA")


def single_rows(path: Path, split: str = "train") -> list[Row]:
    """Rows of the single-image stage from a `singles.jsonl`; raises InputError with a bad row."""
    return [
        {
            "prompt": observation_messages(),
            "images": [str(path.parent / row["image"])],
            "completion": [{"role": "assistant", "content": target(row["facts"])}],
        }
        for row in read_singles(path)
        if row["split"] == split
    ]


def read_singles(path: Path) -> list[Row]:
    """The rows {image, split, facts} of a `singles.jsonl`; raises InputError with a bad row."""
    rows = []
    for number, row in enumerate(strict_rows(path), start=1):
        missing = [name for name in ("image", "split", "facts") if name not in row]
        if missing or not isinstance(row["facts"], dict):
            raise InputError(
                f"{path}, row {number}: no {' and '.join(missing or ['facts'])}; a single has "
                "image, split and facts"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def pair_rows(pairs: Iterable[CreativePair], folder: Path, judge: Judge) -> Iterator[Row]:
    """Both orders of each reasoned pair, with what the judge's own model observes of the images."""
    for pair in pairs:
        if pair.reasoning is None or pair.answers is None or pair.label is None:
            continue
        paths = [str(folder / pair.image_a), str(folder / pair.image_b)]
        request = PairRequest(
            load_image(Path(paths[0])), load_image(Path(paths[1])), pair.product_title, pair.queries
        )
        told = told_reasoning(pair)
        for order, prompt in zip(ORDERS, judge.prompts(request), strict=True):
            turned = order == "BA"
            said, choice = (swap_sides(told), MIRROR[pair.label]) if turned else (told, pair.label)
            if prompt.evidence is not None:
                said = with_citations(said, prompt.evidence)
            yield {
                "prompt": prompt.messages,
                "images": paths[::-1] if turned else paths,
                "completion": [{"role": "assistant", "content": complete(said, choice)}],
            }


def with_citations(reasoning: str, evidence: PairEvidence) -> str:
    """The reasoning with the gaps that bear on each line told first, as the prompt has them.

    What is copied from the prompt binds a fact to its side; the side that has more of it is told of
    first, and the words and the judgement then follow from what stands right before them (a small
    model learns that, and not the long way round: docs/experiments.md).
    """
    lines = []
    for line in reasoning.split("\n"):
        key, _, said = line.partition(": ")
        found = cited(key, evidence)
        if not found:
            lines.append(line)
        elif key == "click":  # who leads on what follows from the answers; then the sum
            lines.append(f"{key}: {said}; {gaps_text(found)}")
        else:
            leader = "A" if next(iter(found.values())) > 0 else "B"
            lines.append(f"{key}: {gaps_text(found)}; {_leader_first(said, leader)}")
    return "\n".join(lines)


def _leader_first(said: str, leader: str) -> str:
    facts, stop, judgement = said.rpartition(". ")
    clauses = facts.split("; ")
    if len(clauses) == 2 and clauses[1].startswith(f"{leader} "):
        clauses.reverse()
    return "; ".join(clauses) + stop + judgement


def told_reasoning(pair: CreativePair) -> str:
    """The pair's reasoning without what a small model cannot see and would learn to invent.

    It reads no words on a creative, so it quotes none, and it names no product.
    """
    assert pair.reasoning is not None
    told = re.sub(r'"[^"]*"', "a query", pair.reasoning)
    told = re.sub(r"shows a wrong product, [^;.]+", "shows a wrong product", told)
    told = re.sub(r"shows [^;.]+ instead", "shows another product", told)
    return re.sub(r"(shows?) the (?!product only)[^;.]+", r"\1 the right product", told)


def draw(rows: list[T], count: int, seed: int) -> list[T]:
    """`count` rows in random order; all of them, over and over, where there are fewer."""
    rng = random.Random(seed)
    drawn: list[T] = []
    while rows and len(drawn) < count:
        drawn += rng.sample(rows, min(len(rows), count - len(drawn)))
    return drawn


def as_dataset(rows: list[Row], image_side: int | None) -> Dataset:
    """A data set that opens and squares its images only when a batch needs them."""

    def opened(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        pictures = [[load_image(Path(path)) for path in paths] for paths in batch["images"]]
        if image_side is not None:
            pictures = [[square(image, image_side) for image in images] for images in pictures]
        texts = {
            key: [json.loads(value) for value in batch[key]]
            for key in ("prompt", "completion")
            if key in batch
        }
        return {**batch, **texts, "images": pictures}

    # Messages travel as JSON text: Arrow would give every part every key, with nulls.
    packed = [
        {**row, **{key: json.dumps(row[key]) for key in ("prompt", "completion") if key in row}}
        for row in rows
    ]
    return Dataset.from_list(packed).with_transform(opened)


def completion_text(row: Row) -> str:
    """What a training row's completion says."""
    text: str = row["completion"][0]["content"]
    return text
