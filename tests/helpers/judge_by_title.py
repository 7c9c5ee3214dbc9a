"""A judge whose answers are known by the title, and files of pairs for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from creative4u.errors import BackendError, Creative4UError
from creative4u.schema import (
    Arithmetic,
    ImageEvidence,
    OrderVerdict,
    PairEvidence,
    ProtocolAnswers,
    Verdict,
)
from creative4u.selector.judge import PairRequest
from creative4u.serving.batch.judge_file import BatchConfig

ANSWERS = ProtocolAnswers(
    same_image="no", too_similar="no", query_hit="A=B", title_hit="A=B", text="A=B", props="A=B",
    layout="A=B", subject="A=B", background="A=B", click="A",
)  # fmt: skip
EVIDENCE = PairEvidence(
    A=ImageEvidence(degrees={"size": 6.5}, text_lines=("Sale",), class_name="boot",
                    class_probability=0.5),
    B=ImageEvidence(degrees={}), contributions={"size": -0.25}, log_odds=-0.3,
)  # fmt: skip


class ByTitle:
    """Chooses the last letter of the title; "broken" is an error; counts what it is asked."""

    model = "by-title"
    arithmetic: Arithmetic | None = None

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.batches: list[int] = []
        self.broken = True
        self.stop_at: str | None = None

    def select_many(self, requests: Sequence[PairRequest]) -> list[Verdict | Creative4UError]:
        self.batches.append(len(requests))
        return [self.one(request) for request in requests]

    def one(self, request: PairRequest) -> Verdict | Creative4UError:
        if request.title == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append(request.title)
        if request.title.startswith("broken") and self.broken:
            return BackendError("server gone")
        side = "A" if request.title.endswith("A") else "B"
        probability = 0.8 if side == "A" else 0.2
        orders = tuple(
            OrderVerdict(order=order, choice=side, probability_a=probability, answers=ANSWERS,
                         reasoning="r") for order in ("AB", "BA")
        )  # fmt: skip
        return Verdict(
            choice=side, confidence=0.8, probability_a=probability, consistent=True,
            answers=ANSWERS, evidence=EVIDENCE, reasoning="r", orders=orders, model=self.model,
            seconds=0.5, log_odds=1.5, overruled=True,
        )  # fmt: skip


QUIET = BatchConfig(batch_size=3, progress=False)


def write(folder: Path, titles: Sequence[str], name: str = "pairs.jsonl") -> Path:
    Image.new("RGB", (30, 30)).save(folder / "a.png")
    if not (folder / "b.png").exists():  # noise: the same file however often pairs are written
        Image.effect_noise((30, 30), 90).save(folder / "b.png")
    rows = [
        {"pair_id": f"p{n}", "product_title": title, "image_a": "a.png", "image_b": "b.png",
         "label": "A", "tags": ["t"]}
        for n, title in enumerate(titles)
    ]  # fmt: skip
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


TITLES = ["oneA", "twoB", "broken threeA", "fourA", "", "fiveB", "sixA", "sevenA", "eightB"]
