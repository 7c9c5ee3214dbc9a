"""Many held-out prompts at once: a verdict of both orders, errors of their own, odds at the end."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reasoning_lines import LINES
from tiny_models import tiny_idefics3

from creative4u.selector.config import PAPER
from creative4u.selector.protocol.completion import complete, swap_sides
from creative4u.selector.protocol.prompt import comparison_messages
from rft.report.held_out import _after, completed, verdicts

Told = tuple[dict[str, Any], str, float | None]


def told(pair: str, order: str, text: str, logit: float | None) -> Told:
    row = {"pair_id": f"{pair}#0", "order": order, "evidence_log_odds": 0.6}
    return row, text, logit


def test_both_orders_of_a_pair_become_one_verdict_in_the_users_own_sides() -> None:
    rows = [
        told("p", "AB", complete(LINES, "A"), 2.0),
        told("p", "BA", complete(swap_sides(LINES), "B"), -1.0),
    ]
    (verdict,) = verdicts(rows, PAPER, "tiny")
    assert (verdict["pair_id"], verdict["choice"], verdict["consistent"]) == ("p", "A", True)
    assert [order["order"] for order in verdict["orders"]] == ["AB", "BA"]
    assert verdict["orders"][1]["probability_a"] == pytest.approx(0.731, abs=1e-3)  # of 1.0
    assert verdict["answers"]["text"] == "A<B"


def test_what_does_not_parse_is_an_error_row_and_no_tie() -> None:
    rows = [
        told("p", "AB", complete(LINES, "A"), 2.0),
        told("p", "BA", "I choose B", 0.0),
        told("q", "AB", complete(LINES, "B"), -2.0),
        told("q", "BA", complete(swap_sides(LINES), "A"), 2.0),
    ]
    first, second = verdicts(rows, PAPER, "tiny")
    assert first["error"]["code"] == "unparsable"
    assert "choice" not in first
    assert second["choice"] == "B"


def test_an_answer_without_odds_is_an_error_and_the_rows_evidence_counts() -> None:
    rows = [
        told("p", "AB", complete(LINES, "A"), None),
        told("p", "BA", complete(swap_sides(LINES), "B"), -1.0),
        told("q", "AB", complete(LINES, "A"), 0.0),
        told("q", "BA", complete(swap_sides(LINES), "B"), 0.0),
    ]
    first, second = verdicts(rows, PAPER.model_copy(update={"evidence_weight": 1.0}), "tiny")
    assert "choice" not in first
    assert first["error"]["code"] == "bad_completion"
    shares = [order["probability_a"] for order in second["orders"]]
    assert shares == pytest.approx([0.6457, 0.3543], abs=1e-4)  # log odds 0.6 for the first shown


def test_the_answer_stands_behind_the_closing() -> None:
    assert _after([5, 1, 2, 7, 1, 2, 8], [1, 2]) == 3
    assert _after([5, 1, 2], [1, 2]) is None  # nothing follows
    assert _after([5, 6], [1, 2]) is None


def test_every_prompt_is_completed_and_pictures_are_never_written(tmp_path: Path) -> None:
    model, processor = tiny_idefics3()
    paths = []
    for name, colour in (("a", (200, 0, 0)), ("b", (0, 0, 200))):
        Image.new("RGB", (56, 56), colour).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    prompt = comparison_messages("Boot", ("boots",))
    rows = [
        {"prompt": prompt, "images": way, "pair_id": "p#0", "order": order}
        for way, order in ((paths, "AB"), (paths[::-1], "BA"))
    ]
    config = PAPER.model_copy(update={"image_side": 56})
    found = list(completed(model.eval(), processor, rows, config, at_once=2))
    assert [row["order"] for row, _, _ in found] == ["AB", "BA"]
    assert all("<image>" not in text for _, text, _ in found)
