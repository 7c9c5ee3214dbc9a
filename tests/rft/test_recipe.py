"""Every shipped recipe loads; what is wrong with one is said in one line."""

from pathlib import Path

import pytest

from creative4u.errors import InputError
from creative4u.selector.config import JudgeConfig
from rft.recipe import RECIPES, load_recipe


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_loads_and_says_its_command(path: Path) -> None:
    recipe = load_recipe(path.stem)
    JudgeConfig.model_validate(recipe.judge)
    assert bool(recipe.stages) == (recipe.kind == "sft")
    assert (recipe.grpo is not None) == (recipe.kind == "grpo")
    assert path.read_text("utf-8").startswith(f"# creative4u rft {recipe.kind} {path.stem}")


def test_overrides_descend_by_dots_and_numbers() -> None:
    recipe = load_recipe("smoke", ("lora.rank=2", "stages.0.learning_rate=1e-4", "out=runs/other"))
    assert recipe.lora.rank == 2
    assert recipe.stages[0].learning_rate == pytest.approx(1e-4)
    assert recipe.out == Path("runs/other")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("lora.rank=0",), "lora.rank: got 0"),
        (("stages.7.singles=1",), "no setting 'stages.7.singles'"),
        (("speed=3",), "speed: got 3"),
        (("rank",), "needed is NAME=VALUE"),
    ],
)
def test_a_wrong_override_is_one_line(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_recipe("smoke", overrides)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(InputError, match=r"shipped are .*smoke"):
        load_recipe("none")
