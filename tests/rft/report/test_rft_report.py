"""Evaluation by hand: four pairs, their verdicts in both orders, every figure worked out."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasoning_lines import LINES

from creative4u.errors import InputError
from creative4u.schema import CreativePair
from creative4u.selector.config import JudgeConfig
from rft.report import evaluate as report
from rft.report.figures import Bootstrap, evaluate
from rft.report.judged import matched
from rft.report.model_card import card
from rft.report.plots import draw, reliability

ANSWERS = {"same_image": "no", "too_similar": "no", "query_hit": "A=B", "title_hit": "A>B",
           "text": "A<B", "props": "A=B", "layout": "A=B", "subject": "A>B",
           "background": "A>B", "click": "A"}  # fmt: skip


def pair(name: str, label: str, **more: Any) -> CreativePair:
    fields = {"product_id": name, "product_title": "Boot", "image_a": "a.png", "image_b": "b.png",
              "answers": ANSWERS | {"click": label}, "split": "test", "label": label}  # fmt: skip
    return CreativePair.model_validate({"pair_id": name} | fields | more)


def order(name: str, p: float, **answers: str) -> dict[str, Any]:
    choice = "A" if p > 0.5 else "B"
    return {"order": name, "choice": choice, "probability_a": p, "reasoning": LINES,
            "answers": ANSWERS | answers | {"click": choice}}  # fmt: skip


def verdict(name: str, one: float, other: float, **answers: str) -> dict[str, Any]:
    orders = [order("AB", one, **answers), order("BA", other)]
    mean = (one + other) / 2
    return {"pair_id": name, "orders": orders, "choice": "A" if mean > 0.5 else "B",
            "probability_a": mean, "consistent": (one > 0.5) == (other > 0.5)}  # fmt: skip


PAIRS = {
    p.pair_id: p
    for p in (
        pair("sure", "A", ctr_a=0.10, ctr_b=0.05, tags=["damage: blur"]),
        pair("torn", "A", ctr_a=0.09, ctr_b=0.05, tags=["damage: blur"]),
        pair("wrong", "B", ctr_a=0.01, ctr_b=0.05),
        pair("right", "B"),
        pair("failed", "A"),
    )
}
ROWS = [
    verdict("sure", 0.9, 0.9),
    verdict("torn", 0.8, 0.3, text="A>B"),
    verdict("wrong", 0.7, 0.6),
    verdict("right", 0.2, 0.2),
    {"pair_id": "failed", "error": {"code": "unparsable", "message": "got ..."}},
]


def test_figures_by_hand() -> None:
    found = evaluate(ROWS, PAIRS)
    assert found["n"] == 5
    assert found["parse_rate"] == pytest.approx(4 / 5)
    # orders right: sure 2, torn 1, wrong 0, right 2
    assert found["AA"]["value"] == pytest.approx(5 / 8)
    assert found["CA"]["value"] == pytest.approx(2 / 4)
    assert found["consistent"]["value"] == pytest.approx(3 / 4)
    low, high = found["AA"]["interval"]
    assert 0 <= low < 5 / 8 < high <= 1
    # one order of four pairs said A>B where A<B was due
    assert found["questions"]["text"]["value"] == pytest.approx(7 / 8)
    assert found["questions"]["text"]["commonest"] == 1.0
    assert found["questions"]["average"]["value"] == pytest.approx(1 - 1 / 8 / 9)
    assert found["by_tag"]["damage: blur"]["value"] == pytest.approx(3 / 4)
    assert found["by_tag"]["damage: blur"]["n"] == 2
    # 0.10 over 0.05 is a gap of 100 %; 0.09 over 0.05 of 80 %; 0.05 over 0.01 of 400 %
    assert {name: one["value"] for name, one in found["by_gap"].items()} == {
        "60% to 100%": 0.5, "100% to 150%": 1.0, "over 250%": 0.0,
    }  # fmt: skip
    # confidences 0.9, 0.55, 0.65, 0.8; right: yes, yes, no, yes. Ten bins: each its own
    ece = found["calibration"]["ece_as_told"]["value"]
    assert ece == pytest.approx((0.1 + 0.45 + 0.65 + 0.2) / 4)
    assert found["choices"] == {"A": 3, "B": 1, "tie": 0, "inconclusive": 0}


def known(name: str, lm: tuple[float, float], evidence: float, label: str = "A") -> Any:
    """A pair and its verdict row with both experts' log odds of A, by order."""
    row = verdict(name, 0.8, 0.7)
    for one, of_lm in zip(row["orders"], lm, strict=True):
        one |= {"log_odds_lm": of_lm, "log_odds_evidence": evidence, "overruled": of_lm < 1}
    return pair(name, label), row


def test_each_expert_alone_by_hand() -> None:
    config = JudgeConfig(position_bias=1.0, lm_scale=5.0, evidence_weight=0.5)
    # the model without its bias: 2 and 2; -0.5 and 1.5; the evidence: right, even
    both = [known("p", (3.0, 1.0), 2.0), known("q", (0.5, 0.5), 0.0)]
    pairs, rows = {p.pair_id: p for p, _ in both}, [row for _, row in both]
    told = evaluate(rows, pairs, config=config)
    experts = told["experts"]
    assert experts["lm"]["AA"]["value"] == pytest.approx(3 / 4)
    assert experts["lm"]["CA"]["value"] == pytest.approx(1 / 2)
    assert experts["evidence"]["AA"]["value"] == pytest.approx(3 / 4)
    assert experts["both"]["AA"]["value"] == 1
    assert experts["overruled"]["value"] == pytest.approx(2 / 4)
    sigmoid = [1 / (1 + math.exp(-x)) for x in (2.0, -0.5, 1.5)]
    sure = [sigmoid[0], (sigmoid[1] + sigmoid[2]) / 2]  # both right, in bins of their own
    ece = told["calibration"]
    assert ece["ece_lm_alone"]["value"] == pytest.approx(1 - sum(sure) / 2)
    # evidence 0 is a half, which is not above one half: not A, and wrong
    assert ece["ece_evidence_alone"]["value"] == pytest.approx((1 - sigmoid[0] + 0.5) / 2)
    assert ece["ece_as_told"]["value"] == pytest.approx(0.25)  # said 0.75, right


def test_calibration_is_refitted_on_the_validation_split_through_both_experts() -> None:
    assert set(evaluate(ROWS, PAIRS)["calibration"]) == {"ece_as_told"}  # nothing else is kept
    assert evaluate(ROWS, PAIRS)["experts"] == {}
    # three in four right at log odds 4 of the model, and no evidence: T = 4 / ln 3
    held = [known(f"v{i}", (4.0, 4.0), 0.0, "A" if i % 4 else "B") for i in range(40)]
    test = known("t", (4.0, 4.0), 0.0)
    pairs = {p.pair_id: p for p, _ in [*held, test]}
    found = evaluate([test[1]], pairs, [row for _, row in held])["calibration"]
    assert found["refitted"]["lm_scale"] == pytest.approx(4 / math.log(3), rel=1e-3)
    assert found["refitted"]["evidence_weight"] == found["refitted"]["position_bias"] == 0
    assert found["fitted_on"] == 40
    assert found["ece_refitted"]["value"] == pytest.approx(1 / 4, abs=1e-3)  # 0.75, right


def test_the_surest_come_first_in_risk_and_coverage() -> None:
    curve = evaluate(ROWS, PAIRS)["risk_coverage"]
    at = dict(zip(curve["coverage"], curve["accuracy"], strict=True))
    # by confidence: sure (right), right (right), wrong (wrong), torn (right)
    assert (at[0.25], at[0.5], at[0.75], at[1.0]) == pytest.approx((1, 1, 2 / 3, 3 / 4))
    assert curve["area_under_risk"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)


def test_a_gain_is_paired_and_needs_pairs_in_common() -> None:
    before = [verdict("sure", 0.9, 0.1), verdict("right", 0.2, 0.2)]
    told = evaluate(ROWS, PAIRS, before=before)["gain"]
    assert told["AA_before"] == pytest.approx(3 / 4)
    assert told["AA"]["value"] == pytest.approx(1 / 4)
    assert told["CA"]["value"] == pytest.approx(1 / 2)
    assert told["AA"]["n"] == 2
    other = {"other": pair("other", "A")}
    with pytest.raises(InputError, match="no pair in common"):
        evaluate(ROWS, PAIRS | other, before=[verdict("other", 0.9, 0.9)])


def test_the_bootstrap_draws_products_whole() -> None:
    draws = Bootstrap(["p"] * 5 + ["q"], rounds=50)
    assert {len(rows) for rows in draws.draws} == {2, 6, 10}
    column = np.array([1.0] * 5 + [0.0])
    assert draws.mean(column)["interval"] == [0.0, 1.0]
    assert draws.mean([1.0, np.nan, 1.0, 1.0, 1.0, 1.0])["n"] == 5


def test_reliability_by_hand() -> None:
    sure, right = np.array([0.55, 0.6, 0.9, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])
    # the bins end at 0.6, 0.7, 0.8, 0.9 and 1; a bin's end is its own
    assert reliability(sure, right) == [
        (pytest.approx(0.575), 0.5, 2), (pytest.approx(0.9), 1.0, 1), (1.0, 1.0, 1),
    ]  # fmt: skip


def test_no_verdict_of_a_labelled_pair_is_bad_input() -> None:
    with pytest.raises(InputError, match="no verdict"):
        evaluate(ROWS, {})


class Fixed:
    """A judge that likes A, a little less in the second order."""

    model = "fixed"

    def select_many(self, requests: Any) -> list[Any]:
        from creative4u.schema import Verdict

        row = verdict("x", 0.9, 0.8)
        return [
            Verdict.model_validate(
                {k: v for k, v in row.items() if k != "pair_id"}
                | {"confidence": row["probability_a"], "answers": row["orders"][0]["answers"],
                   "reasoning": LINES, "model": "fixed", "seconds": 0.1}
            )
            for _ in requests
        ]  # fmt: skip


class NoChecks:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def add(self, reasoning: str, pair: CreativePair, click: str) -> None:
        self.told.append(pair.pair_id)

    def figures(self) -> dict[str, Any]:
        return {"reasonings": len(self.told), "claims": 1, "true": 1.0, "faultless": 1.0,
                "by_line": {"text": 1.0}}  # fmt: skip


def test_one_call_judges_counts_and_writes_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny_models import picture_files

    picture_files(tmp_path, 2)
    rows = [
        pair(f"{split}{i}", "AB"[i % 2], image_a="0.png", image_b="1.png", split=split)
        for split, count in (("test", 4), ("validation", 24))
        for i in range(count)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(p.model_dump_json() + "\n" for p in rows))
    monkeypatch.setattr(report, "load_judge", lambda model, dtype: Fixed())
    asked = report.Asked(file, None, limit=3, validation=22)
    card_file = tmp_path / "model-card.md"
    found = report.main(tmp_path / "out", asked, NoChecks, card_file, "creative4u rft evaluate x")
    assert found["AA"]["n"] == 3
    assert found["reasons"]["reasonings"] == 6
    kept = [json.loads(line) for line in (tmp_path / "out" / "test.jsonl").open()]
    assert all((tmp_path / "out" / row["image_a"]).is_file() for row in kept)
    text = card_file.read_text()
    assert "creative4u rft evaluate x" in text
    assert f"{found['AA']['value']:.3f}" in text
    assert "ECE, as the model is shipped" in text
    assert (tmp_path / "model-card.png").stat().st_size > 1000
    assert json.loads((tmp_path / "out" / "figures.json").read_text())["AA"] == found["AA"]


def test_pairs_are_picked_by_tag_and_asked_without_their_queries(tmp_path: Path) -> None:
    rows = [pair("plain", "A", queries=["boots"]), pair("told", "B", queries=["x"], tags=["t"])]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(row.model_dump_json() + "\n" for row in rows))
    out = tmp_path / "deep" / "er"
    out.mkdir(parents=True)
    report.write_split(report.Asked(file, tag="t", queries=False), "test", None, out / "test.jsonl")
    kept = [json.loads(line) for line in (out / "test.jsonl").open()]
    assert [(row["pair_id"], row["queries"]) for row in kept] == [("told", [])]
    assert kept[0]["image_a"] == "../../a.png"
    with pytest.raises(InputError, match="split test and tag 'none'"):
        report.write_split(report.Asked(file, tag="none"), "test", None, out / "no.jsonl")


def test_a_card_says_every_interval_it_was_given(tmp_path: Path) -> None:
    found = evaluate(ROWS, PAIRS, before=ROWS)
    found |= {"pairs": "5 pairs", "rankers": {"pairs": 4, "accuracy": {"always A": 0.5}}}
    text = card("name", "command", found)
    low, high = found["CA"]["interval"]
    assert f"0.500 ({low:.3f} to {high:.3f})" in text
    assert "0.625, 0.000 (0.000 to 0.000)" in text  # the gain over itself
    assert "On the same 4 test pairs" in text
    draw(found, matched(ROWS, PAIRS), tmp_path / "plots.png")
    assert (tmp_path / "plots.png").is_file()
