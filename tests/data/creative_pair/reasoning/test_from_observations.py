"""Facts as the probe sees them: its degrees for the true ones, kept in a cache, seen once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from creative4u.selector.evidence.properties import NAMES
from data.creative_pair.facts import Facts, Text
from data.creative_pair.reasoning import from_observations
from data.creative_pair.reasoning.from_facts import reason

TRUE = Facts(image="a.png", product="boot", shown="boot", texts=(Text(words="Sale", role="point"),),
             **dict.fromkeys(NAMES, 0.5))  # fmt: skip
LEVELS = {**dict.fromkeys(NAMES, 0), "size": 9, "blur": 1, "dark": 2, "text": 3, "lines": 1}


def test_degrees_are_the_seen_levels_and_the_faintest_are_none() -> None:
    seen = from_observations.observed(TRUE, LEVELS)
    assert (seen.size, seen.blur, seen.dark, seen.text) == pytest.approx((1.0, 0.0, 2 / 9, 3 / 9))
    assert seen.texts == TRUE.texts
    assert (seen.product, seen.shown) == ("boot", "boot")


def test_no_text_is_told_of_where_none_is_seen() -> None:
    assert from_observations.observed(TRUE, {**LEVELS, "text": 1, "lines": 0}).texts == ()


def test_text_that_could_not_be_read_is_illegible() -> None:
    (text,) = from_observations.observed(TRUE, {**LEVELS, "lines": 0}).texts
    assert text == Text(words="Sale", role="point", legible=False)


class Eyes:
    """Evidence that sees every property at the level of the picture's red channel."""

    looked = 0

    def read(self, images: Sequence[Image.Image]) -> list[tuple[str, ...]]:
        return [("Sale",)] * len(images)

    def seen(
        self, images: Sequence[Image.Image], probe: bool
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        assert probe
        self.looked += len(images)
        return [(dict.fromkeys(NAMES, float(i.getpixel((0, 0))[0])), {}) for i in images]  # type: ignore[index]


def test_an_image_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = Eyes()
    monkeypatch.setattr(from_observations, "evidence", lambda: eyes)
    facts = {}
    for level in (2, 7):
        Image.new("RGB", (40, 40), (level, 0, 0)).save(tmp_path / f"{level}.png")
        facts[f"{level}.png"] = TRUE.model_copy(update={"image": f"{level}.png"})
    first = from_observations.as_observed(facts, tmp_path, tmp_path / "seen.json")
    again = from_observations.as_observed(facts, tmp_path, tmp_path / "seen.json")
    assert first == again
    assert eyes.looked == 2
    assert [first[f"{level}.png"].size for level in (2, 7)] == pytest.approx([2 / 9, 7 / 9])


def test_plain_reasoning_takes_the_first_wording() -> None:
    a = from_observations.observed(TRUE, {**LEVELS, "size": 9, "whole": 9})
    b = from_observations.observed(TRUE, {**LEVELS, "size": 3, "whole": 9})
    answers, said = reason(a, b, (), "A", "any", plain=True)
    assert answers.subject == "A>B"  # 1.3 * (exp(-1) - exp(-3)) = 0.41, over the dead zone of 0.2
    assert said == reason(a, b, (), "A", "another", plain=True)[1]


def test_a_query_is_met_where_words_could_be_read_and_never_by_a_scene() -> None:
    met = TRUE.model_copy(update={"intents": ("deal", "scene")})
    assert from_observations.observed(met, LEVELS).intents == ("deal",)
    assert from_observations.observed(met, {**LEVELS, "lines": 0}).intents == ()
