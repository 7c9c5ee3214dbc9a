"""Two orders become one verdict: probabilities, ties and doubt, worked out on paper."""

import math

import pytest
from reasoning_lines import LINES

from creative4u.selector.config import JudgeConfig
from creative4u.selector.protocol.completion import Parsed, complete, parse
from creative4u.selector.verdict import Judged, verdict

CONFIG = JudgeConfig(temperature=2.0, margin=0.1)


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


def test_the_same_image_is_a_tie_only_if_both_orders_say_so() -> None:
    same = LINES.replace("different pictures. no", "one picture twice. yes")
    both = [Judged("AB", said("A", same), 1.0), Judged("BA", said("B", same), -1.0)]
    one = [both[0], Judged("BA", said("B"), -1.0)]
    assert verdict(both, CONFIG, "m", 0.0).choice == "tie"
    assert verdict(one, CONFIG, "m", 0.0).choice == "A"


def test_a_lean_to_the_first_place_is_taken_off_before_the_choice() -> None:
    # 2 for its place alone: in AB 3 - 2 = 1 for A; in BA 1 - 2 = -1 for B, which is 1 for A
    config = JudgeConfig(first_lean=2.0)
    told = verdict([Judged("AB", said("A"), 3.0), Judged("BA", said("A"), 1.0)], config, "m", 0.0)
    assert (told.choice, told.consistent) == ("A", True)
    assert [order.choice for order in told.orders] == ["A", "A"]
    assert told.answers.click == "A"
    assert told.probability_a == pytest.approx(1 / (1 + math.exp(-1)))


def test_the_weighed_sum_is_added_and_turns_with_the_order() -> None:
    config = JudgeConfig(temperature=2.0, prior=0.5)
    orders = [
        Judged("AB", said("A"), 1.0, weighed_first=-4.0),  # 1/2 - 2: B
        Judged("BA", said("B"), -1.0, weighed_first=4.0),
    ]
    told = verdict(orders, config, "m", 0.0)
    assert (told.choice, told.consistent) == ("B", True)
    assert told.probability_a == pytest.approx(1 / (1 + math.exp(1.5)))
