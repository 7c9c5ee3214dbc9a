"""Two orders become one verdict: probabilities, ties and doubt, worked out on paper."""

import math

import numpy as np
import pytest
from reasoning_lines import LINES

from creative4u.schema import Verdict
from creative4u.selector.config import JudgeConfig
from creative4u.selector.protocol.completion import Parsed, complete, parse
from creative4u.selector.protocol.questions import KEYS, mirror
from creative4u.selector.verdict import Judged, fuse, tie, verdict

CONFIG = JudgeConfig(lm_scale=2.0, margin=0.1)


def said(choice: str, lines: str = LINES) -> Parsed:
    return parse(complete(lines, choice))


def test_both_orders_agreeing_average_their_probabilities() -> None:
    # order AB: odds 9 for its first image; order BA: odds 4 against its first image, which is B
    orders = [Judged("AB", said("A"), 2 * math.log(9)), Judged("BA", said("B"), -2 * math.log(4))]
    told = verdict(orders, CONFIG, "m", 1.0)
    assert (told.choice, told.consistent) == ("A", True)
    assert told.probability_a == pytest.approx((0.9 + 0.8) / 2)
    assert told.confidence == pytest.approx(0.85)
    assert [order.choice for order in told.orders] == ["A", "A"]
    assert told.orders[1].answers.text == "A>B"  # BA said A<B of its own first and second


def test_swapped_inputs_give_the_mirrored_verdict() -> None:
    one = [Judged("AB", said("A"), 1.5), Judged("BA", said("A"), 0.5)]
    other = [Judged("AB", said("A"), 0.5), Judged("BA", said("A"), 1.5)]
    first, second = (verdict(orders, CONFIG, "m", 0.0) for orders in (one, other))
    assert first.probability_a == pytest.approx(1 - second.probability_a, abs=1e-12)
    assert {first.choice, second.choice} == {"inconclusive"}


def test_disagreement_beyond_the_margin_still_chooses() -> None:
    orders = [Judged("AB", said("A"), 8.0), Judged("BA", said("A"), 0.1)]
    told = verdict(orders, CONFIG, "m", 0.0)
    # sigmoid(4) = 0.9820, 1 - sigmoid(0.05) = 0.4875: mean 0.7348
    assert told.probability_a == pytest.approx(0.7348, abs=1e-4)
    assert (told.choice, told.consistent) == ("A", False)


def test_too_similar_is_a_tie_only_if_both_orders_say_so() -> None:
    same = LINES.replace("different pictures. no", "one picture twice. yes")
    alike = LINES.replace("plain differences. no", "hardly any. yes")
    assert alike != LINES
    both = [Judged("AB", said("A", alike), 1.0), Judged("BA", said("B", alike), -1.0)]
    one = [both[0], Judged("BA", said("B"), -1.0)]
    assert verdict(both, CONFIG, "m", 0.0).choice == "tie"
    assert verdict(one, CONFIG, "m", 0.0).choice == "A"
    # whether both are the same image is not the model's to say
    claimed = [Judged("AB", said("A", same), 1.0), Judged("BA", said("B", same), -1.0)]
    told = verdict(claimed, CONFIG, "m", 0.0)
    assert (told.choice, told.answers.same_image) == ("A", "no")


def test_two_experts_are_fused_by_hand() -> None:
    config = JudgeConfig(position_bias=1.0, lm_scale=4.0, evidence_weight=0.5)
    assert fuse(3.0, -1.6, config) == pytest.approx((3 - 1) / 4 + 0.5 * -1.6)
    assert fuse(3.0, 1.6, JudgeConfig()) == 3.0
    lm, evidence = np.array([3.0, 1.0]), np.array([-1.6, 4.0])
    assert fuse(lm, evidence, config) == pytest.approx([-0.3, 2.0])


def test_a_verdict_shows_both_experts_and_who_decided() -> None:
    config = JudgeConfig(position_bias=1.0, lm_scale=4.0, evidence_weight=0.5)
    orders = [Judged("AB", said("A"), 3.0, -1.6), Judged("BA", said("B"), -1.0, 1.6)]
    told = verdict(orders, config, "m", 0.0)
    # AB: (3 - 1) / 4 - 0.8 = -0.3; BA: (-1 - 1) / 4 + 0.8 = 0.3 for its first image, which is B
    assert [o.log_odds for o in told.orders] == pytest.approx([-0.3, -0.3])
    assert [o.log_odds_lm for o in told.orders] == [3.0, 1.0]
    assert [o.log_odds_evidence for o in told.orders] == [-1.6, -1.6]
    assert [o.overruled for o in told.orders] == [True, True]  # the model, unbiased, prefers A
    assert (told.choice, told.overruled, told.answers.click) == ("B", True, "B")
    assert (told.log_odds_lm, told.log_odds_evidence) == (2.0, -1.6)
    assert told.log_odds == pytest.approx(-0.3)
    agreed = [Judged("AB", said("A"), 3.0, 1.6), Judged("BA", said("B"), -1.0, -1.6)]
    assert not verdict(agreed, config, "m", 0.0).overruled


def test_an_old_verdict_still_reads() -> None:
    told = verdict([Judged("AB", said("A"), 1.0), Judged("BA", said("B"), -1.0)], CONFIG, "m", 0.0)
    new = ("evidence", "log_odds_lm", "log_odds_evidence", "log_odds", "overruled")
    kept = told.model_dump(mode="json", exclude=set(new))
    for order in kept["orders"]:
        for name in new[1:]:
            del order[name]
    old = Verdict.model_validate(kept)
    assert (old.choice, old.evidence, old.log_odds_lm, old.overruled) == ("A", None, None, False)


def test_one_picture_is_a_tie_whose_reasoning_says_so() -> None:
    same = tie("same", ("AB", "BA"), "m", 0.0)
    copy = tie("copy", ("AB",), "m", 0.0)
    assert (same.choice, same.confidence, same.consistent) == ("tie", 0.5, True)
    assert same.answers.model_dump() == mirror(same.answers).model_dump()
    assert [line.partition(":")[0] for line in same.reasoning.split("\n")] == list(KEYS)
    assert "the same picture, saved again or resized. no" in copy.reasoning
    assert (copy.answers.same_image, copy.answers.too_similar, len(copy.orders)) == ("no", "yes", 1)


def test_a_position_bias_is_taken_off_before_the_choice() -> None:
    # 2 for its place alone: in AB 3 - 2 = 1 for A; in BA 1 - 2 = -1 for B, which is 1 for A
    config = JudgeConfig(position_bias=2.0)
    told = verdict([Judged("AB", said("A"), 3.0), Judged("BA", said("A"), 1.0)], config, "m", 0.0)
    assert (told.choice, told.consistent) == ("A", True)
    assert [order.choice for order in told.orders] == ["A", "A"]
    assert told.answers.click == "A"
    assert told.probability_a == pytest.approx(1 / (1 + math.exp(-1)))


def test_the_evidence_is_added_and_turns_with_the_order() -> None:
    config = JudgeConfig(lm_scale=2.0, evidence_weight=0.5)
    orders = [
        Judged("AB", said("A"), 1.0, evidence=-4.0),  # 1/2 - 2: B
        Judged("BA", said("B"), -1.0, evidence=4.0),
    ]
    told = verdict(orders, config, "m", 0.0)
    assert (told.choice, told.consistent) == ("B", True)
    assert told.probability_a == pytest.approx(1 / (1 + math.exp(1.5)))
