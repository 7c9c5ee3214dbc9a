"""Grounded reasoning: the checker bears it out and catches what is not so; swaps are exact."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creative4u.schema import CreativePair
from creative4u.selector.protocol.completion import complete, parse, swap_sides
from creative4u.selector.protocol.questions import KEYS, mirror
from data.creative_pair.facts import DEGREES, Facts, Text
from data.creative_pair.reasoning.add_reasoning import Dropped, Grounded, Reasoned, swapped
from data.creative_pair.reasoning.check_claims import check_reasoning
from data.creative_pair.reasoning.claims import plural, singular
from data.creative_pair.reasoning.from_facts import reason
from data.creative_pair.reasoning.rubric import answers, compare, lean

GOOD = {**dict.fromkeys(DEGREES, 0.0), "size": 0.7, "whole": 1.0, "text": 0.2, "stand_out": 0.8}
POINT = Text(words="MADE TO LAST", role="point")


def facts(image: str = "a.jpg", **changes: object) -> Facts:
    return Facts.model_validate({"image": image, **GOOD, "product": "boot", "shown": "boot",
                                 **changes})


texts = st.lists(st.builds(Text, words=st.sampled_from(["MADE TO LAST", "A B; C. D and E", "¥99"]),
                           role=st.sampled_from(["point", "price", "call"]),
                           legible=st.booleans(), over=st.booleans()), max_size=3)
any_facts = st.builds(
    Facts, image=st.just("x.jpg"), product=st.just("salt and pepper; B grade"),
    shown=st.sampled_from(["salt and pepper; B grade", "boot"]), texts=texts.map(tuple),
    intents=st.sampled_from([(), ("deal",), ("quality", "scene")]),
    **dict.fromkeys(DEGREES, st.floats(0, 1).map(lambda value: round(value, 2))))
QUERIES = ("salt and pepper; b grade", "cheap salt and pepper; b grade")


@settings(max_examples=150, deadline=None)
@given(any_facts, any_facts, st.sampled_from("AB"), st.integers(0, 99))
def test_every_reasoning_passes_the_checker_and_parses(a: Facts, b: Facts, click: str,
                                                       seed: int) -> None:
    b = b.model_copy(update={"image": "y.jpg"})
    said, text = reason(a, b, QUERIES, click, str(seed))
    assert check_reasoning(text, a, b, QUERIES, click) == []
    assert parse(complete(text, click)).answers == said


@settings(max_examples=150, deadline=None)
@given(any_facts, any_facts, st.integers(0, 99))
def test_a_swap_is_exact(a: Facts, b: Facts, seed: int) -> None:
    b = b.model_copy(update={"image": "y.jpg"})
    said, text = reason(a, b, QUERIES, "A", str(seed))
    turned = swap_sides(text)
    assert swap_sides(turned) == text
    assert parse(complete(turned, "B")).answers == mirror(said)
    assert check_reasoning(turned, b, a, QUERIES, "B") == []


def test_the_rubric_by_hand() -> None:
    a = facts(texts=(POINT,), intents=("quality",))
    b = facts("b.jpg", size=0.3, whole=0.6, clutter=0.7, frame=0.9, shown="hat")
    said = compare(a, b, ("durable boot",))
    assert said == {"query_hit": "A>B", "title_hit": "A>B", "text": "A>B", "props": "A=B",
                    "layout": "A>B", "subject": "A>B", "background": "A>B"}
    assert lean(a, b, ("durable boot",)) == pytest.approx(-lean(b, a, ("durable boot",)))
    same = answers(a, a, (), "A")
    assert (same.same_image, same.too_similar) == ("yes", "yes")
    assert answers(a, facts("c.jpg", intents=("quality",)), (), "A").too_similar == "yes"


@pytest.mark.parametrize(("line", "told", "kind"), [
    ("subject", "A is small; B is blurred. A>B", "claim"),
    ("subject", "A is sharp; B is blurred. A<B", "judgement"),
    ("subject", "A is sharp; B smiles. A>B", "claim"),
    ("subject", "sharp against blurred. A>B", "form"),
    ("text", "both have no text. A=B", "claim"),
    ("query_hit", 'both answer "durable boot". A=B', "claim"),
    ("title_hit", "A shows the boot; B shows hat instead. A=B", "claim"),
    ("same_image", "one and the same picture. no", "claim"),
    ("too_similar", "they differ in props. no", "claim"),
])
def test_what_is_not_so_is_caught(line: str, told: str, kind: str) -> None:
    a, b = facts(texts=(POINT,)), facts("b.jpg", blur=0.8)
    _, text = reason(a, b, ("durable boot",), "A", "1")
    lines = text.split("\n")
    lines[KEYS.index(line)] = f"{line}: {told}"
    found = check_reasoning("\n".join(lines), a, b, ("durable boot",), "A")
    assert kind in {one.reason.split(":")[0] for one in found if one.line == line}


def test_a_missing_line_is_no_reasoning() -> None:
    a, b = facts(), facts("b.jpg", blur=0.8)
    _, text = reason(a, b, (), "A", "1")
    found = check_reasoning("\n".join(text.split("\n")[:-1]), a, b, (), "A")
    assert [one.reason[:5] for one in found] == ["form:"]


def test_the_verb_follows_the_number() -> None:
    for one, both in (("is large", "are large"), ("has no text", "have no text"),
                      ("answers \"cheap boot\"", "answer \"cheap boot\"")):
        assert plural(one) == both
        assert singular(both) == one


def pair(label: str | None) -> CreativePair:
    return CreativePair.model_validate({
        "pair_id": "1", "product_title": "boot", "image_a": "a.jpg", "image_b": "b.jpg",
        "label": label, "ctr_a": 0.1, "ctr_b": 0.05})


def test_reasoning_is_dropped_with_its_reason() -> None:
    sharp, blurred = facts(), facts("b.jpg", blur=0.9)
    source = Grounded({"a.jpg": sharp, "b.jpg": blurred})
    assert isinstance(source.one(pair("A")), Reasoned)
    assert source.one(pair("B")) == Dropped("1", "the facts point the other way")
    assert source.one(pair(None)) == Dropped("1", "no label")
    twin = Grounded({"a.jpg": sharp, "b.jpg": facts("b.jpg")})
    assert twin.one(pair("A")) == Dropped("1", "nothing that is seen tells them apart")
    assert Grounded({}).one(pair("A")) == Dropped("1", "no facts of an image")


def test_a_swapped_pair_is_the_same_pair_told_the_other_way() -> None:
    source = Grounded({"a.jpg": facts(), "b.jpg": facts("b.jpg", blur=0.9)})
    told = source.one(pair("A"))
    assert isinstance(told, Reasoned)
    one = pair("A").model_copy(update={"answers": told.answers, "reasoning": told.reasoning})
    other = swapped(one)
    assert (other.image_a, other.label, other.ctr_a) == (Path("b.jpg"), "B", 0.05)
    assert other.answers == mirror(told.answers)
    assert swapped(other).model_copy(update={"pair_id": "1"}) == one
