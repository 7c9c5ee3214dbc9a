"""Facts that can be worked out on paper, and one factor at a time."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_stock import drawn_stock, product

from data.world.drawing.backgrounds import paint
from data.world.drawing.creative_spec import (
    BACKDROPS,
    Backdrop,
    CreativeSpec,
    Subject,
    TextBlock,
    draw_creative,
    variant,
)
from data.world.drawing.render import at_size, render

PLAIN = CreativeSpec(
    size=(400, 400), subject=Subject(extent=0.5, x=0.5, y=0.5, grain=0), backdrop=Backdrop("flat")
)


def test_a_square_half_as_wide_as_the_picture_has_size_one_half() -> None:
    numbers = render(PLAIN, product(), drawn_stock()).numbers
    assert numbers["size"] == pytest.approx(0.5, abs=0.01)
    assert numbers["whole"] == 1
    assert {
        name: numbers[name]
        for name in ("text", "cover", "clutter", "dark", "blur", "props", "frame")
    } == dict.fromkeys(("text", "cover", "clutter", "dark", "blur", "props", "frame"), 0.0)


@pytest.mark.parametrize("edge", [0, 1, 2, 3])
def test_a_cut_subject_leaves_by_the_share_asked_for(edge: int) -> None:
    subject = replace(PLAIN.subject, whole=0.6, cut_edge=edge)
    numbers = render(replace(PLAIN, subject=subject), product(), drawn_stock()).numbers
    assert numbers["whole"] == pytest.approx(0.6, abs=0.02)
    # 0.6 of a square of a quarter of the area is inside
    assert numbers["size"] == pytest.approx(np.sqrt(0.6 * 0.25), abs=0.01)


def test_three_of_a_kind_cover_more_than_one() -> None:
    one = render(PLAIN, product(), drawn_stock()).numbers["size"]
    three = replace(PLAIN, subject=replace(PLAIN.subject, quantity=3))
    assert render(three, product(), drawn_stock()).numbers["size"] != one


def test_a_strip_over_the_subject_covers_it_and_counts_as_text() -> None:
    block = TextBlock(place="over", height=0.2, panel=True)
    shown = render(replace(PLAIN, text=(block,)), product(), drawn_stock())
    assert shown.numbers["cover"] > 0.15
    assert shown.numbers["text"] > 0.05
    assert len(shown.words["text"]) == 1


def test_the_same_product_stands_out_more_from_the_opposite_ground() -> None:
    stock, red = drawn_stock(), product("a")
    close = render(replace(PLAIN, backdrop=Backdrop("flat", "similar")), red, stock)
    far = render(replace(PLAIN, backdrop=Backdrop("flat", "contrast")), red, stock)
    assert far.numbers["stand_out"] > close.numbers["stand_out"] + 0.2


def test_the_wrong_product_is_of_another_category() -> None:
    wrong = replace(PLAIN, subject=replace(PLAIN.subject, wrong=5))
    shown = render(wrong, product("a", "category 0"), drawn_stock())
    assert shown.words["product"] == "thing a"
    assert shown.words["shown_product"] in {"thing b", "thing c"}


def test_the_same_seed_gives_the_same_bytes() -> None:
    stock = drawn_stock()
    first, again = (
        [
            render(draw_creative(rng), product(), stock).jpeg(80)
            for rng in (np.random.default_rng(s),)
            for _ in range(2)
        ]
        for s in (3, 3)
    )
    assert first == again
    assert first[0] != first[1]


@pytest.mark.parametrize("fact", ["blur", "dark", "clutter", "frame"])
def test_a_variant_changes_its_own_fact_and_no_other(fact: str) -> None:
    stock = drawn_stock()
    changed = variant(PLAIN, fact, np.random.default_rng(1))
    before, after = (render(s, product(), stock).numbers for s in (PLAIN, changed))
    assert after[fact] >= 0.45
    # things strewn or a border may lie over the product, and damage changes how it stands out
    moved = {name for name in before if before[name] != after[name]}
    assert moved <= {fact, "stand_out", "cover"}
    back = variant(changed, fact, np.random.default_rng(2))
    assert render(back, product(), stock).numbers[fact] < after[fact]


@pytest.mark.parametrize(
    "factor",
    ["size", "place", "angle", "quantity", "wrong", "backdrop", "text", "props", "cut", "cover",
     "inset", "low_resolution", "bright", "noise"],
)  # fmt: skip
def test_every_factor_changes_the_spec_and_keeps_the_seed(factor: str) -> None:
    spec = draw_creative(np.random.default_rng(4))
    changed = variant(spec, factor, np.random.default_rng(5))
    assert changed != spec
    assert changed.seed == spec.seed
    assert render(changed, product(), drawn_stock()).image.size == spec.size


def test_an_unknown_factor_is_refused() -> None:
    with pytest.raises(KeyError, match="sparkle"):
        variant(PLAIN, "sparkle", np.random.default_rng(0))


def test_every_drawn_layout_renders_and_its_facts_lie_in_0_1() -> None:
    rng, stock = np.random.default_rng(6), drawn_stock()
    for _ in range(40):
        spec = at_size(draw_creative(rng, defects=0.8), 96)
        numbers = render(spec, product(), stock).numbers
        assert set(numbers) == {
            "size", "whole", "text", "cover", "clutter", "dark", "blur", "props", "frame",
            "stand_out",
        }  # fmt: skip
        assert all(0 <= value <= 1 for value in numbers.values()), numbers


@pytest.mark.parametrize("kind", BACKDROPS)
def test_every_backdrop_fills_the_picture_wherever_the_product_stands(kind: str) -> None:
    for seed in range(12):
        for ground in (0.55, 0.96):
            picture = paint(Backdrop(kind, "contrast"), (200, 40, 40), (60, 80), (), seed, ground)
            assert (picture.size, picture.mode) == ((60, 80), "RGB")
