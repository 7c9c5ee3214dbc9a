"""The shipped judge's own evidence on a drawn pair goes through everything that reads it."""

from __future__ import annotations

import io
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from rich.console import Console

from app import render, wording
from app.history import Saved
from creative4u.cli.tables import show_verdict
from creative4u.images import encode, load_image
from creative4u.schema import CreativePair, PairEvidence, Side, Verdict
from creative4u.selector.config import FILE_NAME
from creative4u.selector.evidence.properties import PROPERTIES
from creative4u.selector.judge import Judge, PairRequest
from creative4u.selector.loading import load_judge
from creative4u.selector.protocol.backend import Completion
from creative4u.selector.verdict import fuse
from creative4u.serving.openai_batch.requests import read_answers, write_requests
from rft.evidence.calibrate import calibrate
from rft.evidence.experts import fused, log_odds
from rft.report.figures import evaluate
from rft.report.model_card import card

TITLE, QUERIES = "Blue mug, ceramic", ("cheap mug",)
CODE = re.compile(r"stand_out|\bsaid \d|\bwhole \d|\bwords [AB\d]|[AB]\+\d")  # the prompt's own


def mug(text: str, blue: int) -> Image.Image:
    image = Image.new("RGB", (320, 320), (236, 234, 240))
    pen = ImageDraw.Draw(image)
    pen.rectangle((90, 90, 210, 250), fill=(40, blue // 2, blue))
    pen.arc((190, 120, 260, 220), 270, 90, fill=(40, blue // 2, blue), width=14)
    pen.text((20, 20), text, fill=(180, 20, 20), font_size=36)
    return image


IMAGES: dict[Side, Image.Image] = {
    "A": mug("SALE 50% OFF", 210), "B": mug("", 90).resize((160, 240))
}  # fmt: skip


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


@pytest.fixture(scope="module")
def verdict(judge: Judge) -> Verdict:
    return judge.select(PairRequest(IMAGES["A"], IMAGES["B"], TITLE, QUERIES))


@pytest.fixture(scope="module")
def evidence(verdict: Verdict) -> PairEvidence:
    assert verdict.evidence is not None
    return verdict.evidence


def rows(verdict: Verdict, count: int = 24) -> list[dict[str, Any]]:
    """The verdict as so many rows of a file, two of three with the label A."""
    kept = json.loads(verdict.model_dump_json())
    return [{"pair_id": str(n), "label": "B" if n % 3 == 0 else "A", **kept} for n in range(count)]


def test_the_record_holds_every_property_and_survives_json(
    verdict: Verdict, evidence: PairEvidence
) -> None:
    names = {prop.name for prop in PROPERTIES}
    assert set(evidence.A.degrees) == set(evidence.B.degrees) == names
    assert set(evidence.contributions) < names
    assert abs(evidence.log_odds - sum(evidence.contributions.values())) <= 0.1
    assert evidence.A.text_lines
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_the_page_draws_a_meter_for_each_and_shows_no_code(
    verdict: Verdict, evidence: PairEvidence
) -> None:
    for side in IMAGES:
        meters, looks = wording.seen(evidence.of(side))
        assert [meter.label.lower() for meter in meters] == [
            next(prop.label for prop in PROPERTIES if prop.name == name)
            for name in evidence.of(side).degrees
        ]
        assert all(0 <= meter.share <= 1 for meter in meters)
        assert looks
    pictures = {side: encode(image) for side, image in IMAGES.items()}
    page = render.report(Saved("1", datetime(2026, 1, 2), TITLE, QUERIES, pictures, verdict))
    assert page.count('class="c4-meter"') == 2 * len(PROPERTIES)
    assert "Measured: " in page
    assert CODE.search(page.partition("<main>")[2]) is None
    assert CODE.search(verdict.reasoning) is not None  # it does stand in the text


def test_the_terminal_shows_no_code(verdict: Verdict) -> None:
    shown = Console(file=io.StringIO(), width=100)
    show_verdict(verdict, shown)
    assert isinstance(shown.file, io.StringIO)
    text = shown.file.getvalue()
    assert "A shows: product size " in text
    assert CODE.search(text) is None


def test_judging_calibration_and_report_fuse_the_same_numbers(
    judge: Judge, verdict: Verdict
) -> None:
    lm, evidence = log_odds(rows(verdict, 1))
    again = fused(lm, evidence, judge.config)
    assert again.tolist() == [[order.log_odds for order in verdict.orders]]
    assert verdict.orders[1].log_odds == -fuse(-lm[0, 1], -evidence[0, 1], judge.config)
    assert evidence.tolist() == [[verdict.log_odds_evidence] * 2]


def test_calibration_reads_the_record_whatever_the_model_wrote(
    judge: Judge, verdict: Verdict, tmp_path: Path
) -> None:
    (tmp_path / FILE_NAME).write_text(judge.config.model_dump_json())
    figures = calibrate(rows(verdict), tmp_path)
    first, second = (order.log_odds_lm or 0.0 for order in verdict.orders)
    assert figures["position_bias"] == pytest.approx((first - second) / 2)
    miscopied = rows(verdict)
    for row in miscopied:
        for order in row["orders"]:
            order["reasoning"] = re.sub(r"all [AB]\+\d+", "all B+99", order["reasoning"])
    (tmp_path / FILE_NAME).write_text(judge.config.model_dump_json())
    assert calibrate(miscopied, tmp_path) == figures


def test_the_report_takes_the_experts_apart(judge: Judge, verdict: Verdict) -> None:
    pairs = {
        str(n): CreativePair(pair_id=str(n), product_title=TITLE, image_a=Path("a.png"),
                             image_b=Path("b.png"), label="B" if n % 3 == 0 else "A")
        for n in range(24)
    }  # fmt: skip
    found = evaluate(rows(verdict), pairs, validation=rows(verdict), config=judge.config)
    for_a = np.sign(verdict.log_odds_evidence or 0.0)
    assert found["experts"]["evidence"]["AA"]["value"] == pytest.approx((3 + for_a) / 6)
    sure = 1 / (1 + np.exp(-abs(verdict.log_odds_evidence or 0.0)))
    assert found["calibration"]["ece_evidence_alone"]["value"] == pytest.approx(
        abs(sure - (3 + for_a) / 6)
    )
    found["pairs"] = "24 rows"
    text = card("judge", "command", found)
    assert "| the evidence alone | " in text
    assert "ECE, refitted on 24 validation pairs" in text
    assert "untempered" not in text


def answered(custom_id: str, said: Completion) -> dict[str, Any]:
    """A server's answer with that text and those log odds."""
    before, closing, rest = said.text.partition("<answer>")
    listed = [{"token": "A", "logprob": 0.0}, {"token": "B", "logprob": -said.logit_a}]
    tokens = [
        {"token": before + closing, "logprob": 0.0, "top_logprobs": []},
        {"token": rest[0], "logprob": listed["AB".index(rest[0])]["logprob"],
         "top_logprobs": listed},
        {"token": rest[1:], "logprob": 0.0, "top_logprobs": []},
    ]  # fmt: skip
    choice = {"message": {"content": said.text}, "finish_reason": "stop",
              "logprobs": {"content": tokens}}  # fmt: skip
    return {"custom_id": custom_id, "error": None,
            "response": {"status_code": 200, "body": {"choices": [choice]}}}  # fmt: skip


def test_a_batch_file_and_back_is_the_same_verdict(judge: Judge, tmp_path: Path) -> None:
    for side, image in IMAGES.items():
        image.save(tmp_path / f"{side}.png")
    pairs, out = tmp_path / "pairs.jsonl", tmp_path / "out.jsonl"
    pairs.write_text(json.dumps({"pair_id": "p", "product_title": TITLE, "queries": QUERIES,
                                 "image_a": "A.png", "image_b": "B.png"}))  # fmt: skip
    write_requests(pairs, out, tmp_path / "requests.jsonl", judge)
    request = PairRequest(*(load_image(tmp_path / f"{side}.png") for side in "AB"), TITLE, QUERIES)
    completions = judge.backend.complete(judge.prompts(request))
    lines = [answered(f"p:{order}:0", said)
             for order, said in zip(("AB", "BA"), completions, strict=True)
             if isinstance(said, Completion)]  # fmt: skip
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    read_answers(pairs, out, [tmp_path / "answers.jsonl"], again=False)
    row = json.loads(out.read_text())
    now = json.loads(judge.select(request).model_dump_json())
    elsewhere = {"seconds": 0, "arithmetic": None}  # whoever answered a batch does not say
    assert {name: row[name] for name in now} | elsewhere == now | elsewhere
    assert row["arithmetic"] is None
