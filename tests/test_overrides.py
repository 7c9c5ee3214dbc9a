"""Settings of verbs: read by the field's type, checked, and refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from creative4u.errors import InputError
from creative4u.moon.training.posttrain_config import PosttrainConfig
from creative4u.overrides import configured, with_settings


def test_settings_are_read_as_their_fields_types() -> None:
    words = ["steps=3", "rate=1", "out=12", "encoder.experts=0", "encoder.dims=[768]", "filter=no"]
    config = with_settings(PosttrainConfig(), [*words, "rho=1e-3"])
    assert (config.steps, config.rate, config.out) == (3, 1.0, "12")
    assert (config.encoder.experts, config.encoder.dims) == (0, (768,))
    assert (config.filter, config.rho) == (False, 0.001)
    assert config.margins == PosttrainConfig().margins


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("steps", "got --set 'steps'; needed is NAME=VALUE"),
        ("nothing=1", "no setting 'nothing'; known are .*steps"),
        ("encoder.nothing=1", "no setting 'encoder.nothing'; known are backbone"),
        ("steps.more=1", "no setting 'steps.more'"),
        ("steps=x", "steps: got 'x'"),
        ("steps=1.5", "steps: got 1.5"),
        ("encoder=1", "encoder is a group"),
        ("encoder.visual_dim=768", "got visual_dim 768; 0 to 767 are allowed"),
        ("steps=[", "no YAML"),
    ],
)
def test_a_wrong_setting_is_one_line(word: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        with_settings(PosttrainConfig(), [word])
    assert "\n" not in str(caught.value)


def test_options_come_first_and_are_not_set_twice() -> None:
    config = configured(
        PosttrainConfig(), ["steps=2"], world=Path("w"), pictures=[Path("a"), Path("b")], out=None
    )
    assert (config.world, config.pictures, config.steps) == ("w", ("a", "b"), 2)
    assert config.out == PosttrainConfig().out
    with pytest.raises(InputError, match="got --set world=x; write --world x instead"):
        configured(PosttrainConfig(), ["world=x"], world=None)
