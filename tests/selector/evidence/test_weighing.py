"""What tells two described images apart: widest gap first, mirrored by a swap, and cited."""

from creative4u.selector.evidence.properties import NAMES, Match, Observation, shown
from creative4u.selector.evidence.weighing import (
    BEARING,
    KNOTS,
    TOTAL,
    cite,
    differences,
    summed,
    weighed,
)
from creative4u.selector.protocol.prompt import comparison_messages

A = "size 6 text 0 blur 0 sharp 5 title 4 like ping-pong ball"
B = "size 4 text 0 blur 6 sharp 5 title 5 like nail"


def test_the_widest_gap_stands_first_and_equal_levels_are_silent() -> None:
    assert differences(A, B) == "blur B+6 size A+2 title B+1"


def test_a_swap_exchanges_the_sides_alone() -> None:
    assert differences(B, A) == "blur A+6 size B+2 title A+1"


def test_the_same_description_twice_tells_nothing() -> None:
    assert differences(A, A) == "nothing"
    assert cite("subject", "nothing") == ""


def test_a_property_known_of_one_image_only_is_no_difference() -> None:
    assert differences("size 6 query 4", "size 4") == "size A+2"


def test_a_line_cites_what_bears_on_it_and_no_more_than_two() -> None:
    apart = "blur B+6 dark A+3 size A+2 clutter B+1"
    assert cite("subject", apart) == "blur B+6 dark A+3"
    assert cite("background", apart) == "clutter B+1"
    assert cite("layout", apart) == cite("click", apart) == ""


def test_every_probed_property_bears_on_one_question() -> None:
    told = [name for names in BEARING.values() for name in names]
    assert sorted(told) == sorted([*NAMES, "title", "query", "words", "said", TOTAL])


def test_levels_as_they_are_described_are_found_again() -> None:
    degrees = {name: float(number) for number, name in enumerate(NAMES)}
    one = Observation(asked=degrees, measured={"sharp": 2.4}, looks_like="running shoe")
    other = one.model_copy(update={"asked": {**degrees, "dark": 9.0}})
    match = Match(title=3.0, queries=5.0)
    told = differences(shown(one, match).text, shown(other, match).text)
    assert told == f"dark B+{9 - NAMES.index('dark')}"


def test_the_prompt_ends_with_them_where_there_are_observations() -> None:
    told = comparison_messages("Boot", ("boots",), (A, B))[0]["content"][-1]["text"]
    assert told.endswith("\nMore of it: blur B+6 size A+2 title B+1")
    assert "More of it" not in str(comparison_messages("Boot", ("boots",)))


def line(slope: float) -> tuple[float, ...]:
    return tuple(slope * knot for knot in KNOTS)


WEIGHTS = {"blur": line(-0.13), "size": line(0.21), "title": line(0.04)}
OF_A = {"size": 6.2, "blur": 0.1, "sharp": 5.0, "title": 4.0}
OF_B = {"size": 4.2, "blur": 6.1, "sharp": 5.0, "title": 5.0}


def test_weighed_gaps_belong_to_the_side_they_speak_for_and_are_summed() -> None:
    assert weighed(OF_A, OF_B, WEIGHTS) == "blur A+8 size A+4 all A+12"  # 7.8 + 4.2 - 0.4 = 11.6


def test_a_swap_of_weighed_gaps_exchanges_the_sides_alone() -> None:
    assert weighed(OF_B, OF_A, WEIGHTS) == "blur B+8 size B+4 all B+12"


def test_weighed_gaps_that_round_to_nothing_still_have_a_leader() -> None:
    assert weighed({"title": 4.0}, {"title": 5.0}, WEIGHTS) == "all B+1"
    assert weighed({"size": 4.0}, {"title": 5.0}, WEIGHTS) == "nothing"


def test_worth_is_linear_between_its_knots() -> None:
    steps = {"blur": (0.0, -1.0, -2.0, -2.0, -2.0)}  # at 0, 1, 3, 6 and 9
    assert weighed({"blur": 0.5}, {"blur": 2.0}, steps) == "blur A+10 all A+10"  # -0.5 and -1.5
    assert weighed({"blur": 9.0}, {"blur": 4.0}, steps) == "nothing"


def test_the_click_line_cites_the_sum() -> None:
    assert cite("click", "blur A+8 size A+4 all A+12") == "all A+12"


def test_the_prompt_says_that_they_are_weighed() -> None:
    apart = "blur A+8 size A+4 all A+12"
    told = comparison_messages("Boot", ("boots",), (A, B), apart=apart)[0]["content"][-1]
    assert told["text"].endswith("\nSpeaks for it: blur A+8 size A+4 all A+12")


def test_the_side_that_leads_by_less_than_a_point_gets_one() -> None:
    worth = {"size": (0.0, 0.01, 0.02, 0.03, 0.04)}  # tenths of a point of log odds
    assert weighed({"size": 9.0}, {"size": 1.0}, worth) == "all A+1"
    assert weighed({"size": 1.0}, {"size": 9.0}, worth) == "all B+1"
    assert weighed({"size": 4.0}, {"size": 4.0}, worth) == "nothing"


def test_the_sum_is_read_back_from_the_end_alone() -> None:
    assert summed("blur A+8 size B+2 all A+6") == 0.6
    assert summed("click: A leads on text; all B+14") == -1.4
    assert summed("Title: all A+99\nSpeaks for it: nothing") == 0.0
    assert summed("") == 0.0
