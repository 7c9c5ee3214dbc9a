"""Which queries a creative's words meet, counted by hand; no text and no query meet nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creative4u.selector.evidence.query_match import met

QUERIES = ("headphones", "cheap headphones", "wireless headphones", "headphones gift")


def test_an_interest_is_met_by_what_speaks_to_it() -> None:
    assert met(QUERIES, ["LOWESTPRICE"]) == 0.25  # the cheap ones
    assert met(QUERIES, ["$3.01", "Gift inside"]) == 0.5
    assert met(["便宜 耳机"], ["限时抢购"]) == 1.0
    assert met(["durable shirt"], ["MADE TO LAST"]) == 1.0


def test_a_word_of_the_query_meets_it_with_or_without_spaces() -> None:
    assert met(QUERIES, ["TRULY WIRELESS"]) == 0.25
    assert met(["noise cancelling headphones"], ["NOISECANCELLING"]) == 1.0


def test_what_all_queries_share_meets_none_of_them() -> None:
    assert met(QUERIES, ["HEADPHONES"]) == 0.0


def test_an_interest_is_a_whole_word_of_the_query() -> None:
    assert met(["hotel slippers"], ["best seller"]) == 0.0  # "hot" is not in it as a word
    assert met(["hot slippers"], ["best seller"]) == 1.0


@given(st.lists(st.text(max_size=20), max_size=4), st.lists(st.text(max_size=20), max_size=4))
def test_it_is_a_share_and_more_words_meet_no_fewer(queries: list[str], lines: list[str]) -> None:
    share = met(queries, lines)
    assert 0 <= share <= 1
    assert met(queries, [*lines, "50% off"]) >= share
    assert met([], lines) == met(queries, []) == pytest.approx(0)
