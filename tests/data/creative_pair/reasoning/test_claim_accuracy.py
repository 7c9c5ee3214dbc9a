"""A model's reasoning against the facts: shortened claims are looked up, false ones are counted."""

from typing import Any

import pytest

from creative4u.schema import CreativePair
from data.creative_pair.facts import Facts
from data.creative_pair.reasoning.claim_accuracy import BorneOut, claim_count, restored
from data.creative_pair.reasoning.from_facts import reason


def facts(image: str, **more: Any) -> Facts:
    base = {"size": 0.5, "whole": 1.0, "text": 0.0, "cover": 0.0, "clutter": 0.0, "dark": 0.0,
            "blur": 0.0, "props": 0.0, "frame": 0.0, "stand_out": 0.7, "product": "boot",
            "shown": "boot"}  # fmt: skip
    return Facts.model_validate({"image": image} | base | more)


A = facts("a.png", intents=())
B = facts("b.png", blur=0.6, shown="tin can")
PAIR = CreativePair.model_validate(
    {"pair_id": "p", "product_title": "Boot", "image_a": "a.png", "image_b": "b.png", "label": "A"}
)


def test_claims_are_counted_by_hand() -> None:
    assert claim_count("A is sharp and is well lit; B is blurred. A>B") == 3
    assert claim_count("nothing between them. A=B") == 0
    assert claim_count("A leads on subject") == 1


def test_grounded_reasoning_is_borne_out_and_a_lie_is_counted() -> None:
    _, said = reason(A, B, (), "A", "seed")
    checks = BorneOut({"a.png": A, "b.png": B})
    checks.add(said, PAIR, "A")
    assert checks.figures()["true"] == checks.figures()["faultless"] == 1
    key = "subject: "
    lie = "\n".join(
        f"{key}A is blurred; B is sharp. A>B" if line.startswith(key) else line
        for line in said.split("\n")
    )
    checks.add(lie, PAIR, "A")
    assert checks.refused["subject"] == 2
    assert checks.figures()["faultless"] == pytest.approx(0.5)
    assert checks.figures()["by_line"]["layout"] == 1.0


def test_shortened_claims_hold_exactly_where_they_are_true() -> None:
    line = "title_hit: A shows a wrong product; B shows a wrong product. A>B"
    assert restored(line, A, B, ()) == (
        "title_hit: A shows a wrong product, boot; B shows a wrong product, tin can. A>B"
    )
    both = restored("title_hit: both show the right product. A=B", A, B, ())
    assert both == "title_hit: both show the right product, boot. A=B"
    _, said = reason(A, B, (), "A", "seed")
    for claim, refused in (
        ("A shows another product", 1), ("B shows another product", 0),
        ("A shows the right product", 0), ("B shows the right product", 1),
    ):
        checks = BorneOut({"a.png": A, "b.png": B})
        told = "\n".join(
            f"title_hit: {claim}. A>B" if row.startswith("title_hit") else row
            for row in said.split("\n")
        )
        checks.add(told, PAIR, "A")
        assert checks.refused["title_hit"] == refused


def test_what_is_copied_from_the_prompt_is_no_claim() -> None:
    line = "subject: blur B+6 stand_out A+2; A is sharp; B is blurred. A>B"
    assert restored(line, A, B, ()) == "subject: A is sharp; B is blurred. A>B"


def test_the_sum_at_the_end_of_the_last_line_is_no_claim() -> None:
    assert restored("click: A leads on text; all A+14", A, B, ()) == "click: A leads on text"
    _, said = reason(A, B, (), "A", "seed")
    checks = BorneOut({"a.png": A, "b.png": B})
    checks.add(f"{said}; all A+14", PAIR, "A")
    assert checks.figures()["faultless"] == 1


def test_pairs_without_facts_are_left_out() -> None:
    checks = BorneOut({})
    checks.add("anything", PAIR, "A")
    assert checks.figures()["reasonings"] == 0
