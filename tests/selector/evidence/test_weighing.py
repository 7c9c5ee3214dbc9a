"""What tells two images apart: log odds by property and their sum, mirrored by a swap."""

import pytest

from creative4u.schema import ImageEvidence, PairEvidence
from creative4u.selector.evidence.properties import NAME_OF_WORD, NAMES
from creative4u.selector.evidence.weighing import BEARING, KNOTS, TOTAL, gaps, weigh_pair


def image(**degrees: float) -> ImageEvidence:
    return ImageEvidence(degrees=degrees)


A = image(size=6, text=0, blur=0, sharp=5, title=4)
B = image(size=4, text=0, blur=6, sharp=5, title=5)


def test_without_curves_the_widest_gap_of_levels_stands_first_and_equal_ones_are_silent() -> None:
    evidence = weigh_pair(A, B, {})
    assert list(gaps(evidence).items()) == [("blur", -6), ("size", 2), ("title", -1)]
    assert (evidence.contributions, evidence.log_odds) == ({}, 0.0)


def test_a_swap_exchanges_the_sides_alone() -> None:
    evidence = weigh_pair(A, B, WEIGHTS)
    assert list(gaps(weigh_pair(B, A, {})).items()) == [("blur", 6), ("size", -2), ("title", 1)]
    assert evidence.swapped() == weigh_pair(B, A, WEIGHTS)
    assert evidence.swapped().swapped() == evidence


def test_the_same_description_twice_tells_nothing() -> None:
    assert gaps(weigh_pair(A, A, {})) == gaps(weigh_pair(A, A, WEIGHTS)) == {}


def test_a_property_known_of_one_image_only_is_no_difference() -> None:
    assert gaps(weigh_pair(image(size=6, query=4), image(size=4), {})) == {"size": 2}


def test_every_probed_property_bears_on_one_question() -> None:
    told = [name for names in BEARING.values() for name in names]
    rated = [NAME_OF_WORD[word] for word in NAMES]
    assert sorted(told) == sorted([*rated, "title", "query", "query_words", "text_lines", TOTAL])


def line(slope: float) -> tuple[float, ...]:
    return tuple(slope * knot for knot in KNOTS)


WEIGHTS = {"blur": line(-0.13), "size": line(0.21), "title": line(0.04)}
OF_A = image(size=6.2, blur=0.1, sharp=5.0, title=4.0)
OF_B = image(size=4.2, blur=6.1, sharp=5.0, title=5.0)


def test_contributions_are_gaps_in_worth_and_their_sum_is_in_tenths() -> None:
    evidence = weigh_pair(OF_A, OF_B, WEIGHTS)
    # 0.13 * 6 = 0.78, 0.21 * 2 = 0.42, 0.04 * -1: 1.16 in sum
    assert evidence.contributions == pytest.approx({"blur": 0.78, "size": 0.42, "title": -0.04})
    assert evidence.log_odds == 1.2
    assert list(gaps(evidence).items()) == [("blur", 8), ("size", 4), (TOTAL, 12)]


def test_gaps_that_round_to_nothing_still_have_a_leader() -> None:
    evidence = weigh_pair(image(title=4.0), image(title=5.0), WEIGHTS)
    assert (evidence.log_odds, gaps(evidence)) == (-0.1, {TOTAL: -1})
    flat = {"size": (0.0, 0.01, 0.02, 0.03, 0.04)}
    assert weigh_pair(image(size=9.0), image(size=1.0), flat).log_odds == 0.1
    assert weigh_pair(image(size=1.0), image(size=9.0), flat).log_odds == -0.1
    assert weigh_pair(image(size=4.0), image(size=4.0), flat).log_odds == 0.0
    assert gaps(weigh_pair(image(size=4.0), image(title=5.0), WEIGHTS)) == {}


def test_worth_is_linear_between_its_knots() -> None:
    steps = {"blur": (0.0, -1.0, -2.0, -2.0, -2.0)}  # at 0, 1, 3, 6 and 9
    evidence = weigh_pair(image(blur=0.5), image(blur=2.0), steps)
    assert evidence.contributions == {"blur": pytest.approx(-0.5 + 1.5)}
    assert weigh_pair(image(blur=9.0), image(blur=4.0), steps).log_odds == 0.0


def test_the_record_is_the_same_after_json() -> None:
    evidence = weigh_pair(OF_A, OF_B, WEIGHTS)
    assert PairEvidence.model_validate_json(evidence.model_dump_json()) == evidence
    assert list(evidence.model_dump()) == ["A", "B", "contributions", "log_odds"]
